/* Convolution as a product of two matrices: windows of the input ("patches", one a row) times
 * filters; see trecx/mve_product.h.
 *
 * A group of patches is staged in scratch, in the order in which the product reads it, in blocks of
 * four; if the last group is no multiple of four, up to three blocks of three make up for it. 1x1
 * convolutions copy pixels from the input; larger windows are cut out of a few input lines with a
 * border of zero points, held in scratch. */
#include <string.h>

#include "trecx/kernels/conv2d_s8_mve.h"
#include "trecx/mve_arith.h"
#include "trecx/mve_memory.h"
#include "trecx/mve_product.h"

/* Blocks of four, of three, and what takes an even number of blocks of four with few channels and a
 * zero point of -128. */
typedef struct {
  void (*blocks)(trecx_mve_product *);
  void (*short_blocks)(trecx_mve_product *); /* NULL: with two chunks there are none */
  void (*by_two)(trecx_mve_product *);
} products;

/* Parts of scratch, and where the staging stands. */
typedef struct {
  const trecx_conv2d_s8_mve_patch_params *p;
  const int8_t *input;
  int8_t *patches;
  int8_t *lines;  /* the input rows that the windows of one output row see */
  int8_t *window; /* one patch, before it is spread over its block */
  /* Or: where the pairs of values of a window lie, NULL if they do not pair. */
  uint16_t *half_words;
  int32_t line_count;
  int32_t in_fours; /* patches of the group in blocks of four; the others are in blocks of three */
  int32_t y, x;     /* output pixel that is staged next */
} staging;

/* Where a patch goes in its block of four or three: its first 32 values lie together; of every
 * chunk that follows, the 16 values of each patch. */
typedef struct {
  int8_t *resident, *streamed;
  int32_t step; /* from chunk to chunk of the streamed ones */
} place;

static inline place place_of(const staging *s, int32_t i) {
  const int32_t bytes = 16 * s->p->chunks; /* of a patch */
  int32_t first = i & ~3, size = 4;
  if (i >= s->in_fours) {
    first = s->in_fours + (i - s->in_fours) / 3 * 3;
    size = 3;
  }
  int8_t *block = s->patches + first * bytes;
  const place found = {block + (i - first) * 32, block + size * 32 + (i - first) * 16, 16 * size};
  return found;
}

/* What is left of the last chunk is not written (its weights are 0). */
static void place_patch(const staging *s, int32_t i, const int8_t *patch, int32_t bytes) {
  place to = place_of(s, i);
  trecx_mve_copy(to.resident, patch, bytes < 32 ? bytes : 32);
  for (int32_t k = 32; k < bytes; k += 16) {
    trecx_mve_copy(to.streamed, patch + k, bytes - k < 16 ? bytes - k : 16);
    to.streamed += to.step;
  }
}

/* --- 1x1 kernels: patches are pixels --- */

/* clang-format off */

/* One chunk of `blocks` times four neighbouring pixels, to places `step` bytes apart in a block. */
#define SPREAD_CHUNK(name, step)                                                          \
  static void name(int8_t *to, int32_t block_step, const int8_t *from, int32_t channels,  \
                   int32_t blocks) {                                                      \
    __asm__ volatile(                                                                     \
        "wls lr, %[blocks], 2f \n"                                                        \
        "1: vldrb.u8 q0, [%[from]] \n"                                                    \
        "add %[from], %[from], %[channels] \n"                                            \
        "vldrb.u8 q1, [%[from]] \n"                                                       \
        "add %[from], %[from], %[channels] \n"                                            \
        "vldrb.u8 q2, [%[from]] \n"                                                       \
        "add %[from], %[from], %[channels] \n"                                            \
        "vldrb.u8 q3, [%[from]] \n"                                                       \
        "add %[from], %[from], %[channels] \n"                                            \
        "vstrb.8 q0, [%[to]] \n"                                                          \
        "vstrb.8 q1, [%[to], #" step "] \n"                                               \
        "vstrb.8 q2, [%[to], #2*" step "] \n"                                             \
        "vstrb.8 q3, [%[to], #3*" step "] \n"                                             \
        "add %[to], %[to], %[block_step] \n"                                              \
        "le lr, 1b \n"                                                                    \
        "2: \n"                                                                           \
        : [to] "+r"(to), [from] "+r"(from)                                                \
        : [block_step] "r"(block_step), [channels] "r"(channels), [blocks] "r"(blocks)    \
        : "lr", "q0", "q1", "q2", "q3", "memory");                                        \
  }

/* clang-format on */

SPREAD_CHUNK(spread_resident, "32")
SPREAD_CHUNK(spread_streamed, "16")

/* Neighbouring pixels in blocks of four, channels are whole chunks. */
static void stage_whole_blocks(const staging *s, const int8_t *pixel) {
  const int32_t channels = s->p->input_channels, chunks = s->p->chunks;
  const int32_t blocks = s->in_fours / 4, block_step = 64 * chunks;
  int8_t *to = s->patches + 128;
  spread_resident(s->patches, block_step, pixel, channels, blocks);
  spread_resident(s->patches + 16, block_step, pixel + 16, channels, blocks);
  for (int32_t k = 2; k < chunks; k++) {
    spread_streamed(to, block_step, pixel + 16 * k, channels, blocks);
    to += 64;
  }
}

static void stage_pixels(staging *s, int32_t count) {
  const trecx_conv2d_s8_mve_patch_params *p = s->p;
  const int32_t channels = p->input_channels;
  const int32_t step = p->stride_width * channels;
  const int32_t dense = p->stride_width == 1 && p->stride_height == 1 && channels == 16 * p->chunks;
  const int8_t *pixel =
      s->input + (s->y * p->stride_height * p->input_width + s->x * p->stride_width) * channels;
  int32_t i = 0;
  if (dense) {
    if (p->chunks == 2) {
      trecx_mve_move(s->patches, pixel, count * 32);
      i = count;
    } else {
      stage_whole_blocks(s, pixel);
      i = s->in_fours & ~3;
    }
    pixel += i * step;
    s->x += i;
    for (; s->x >= p->output_width; s->x -= p->output_width) s->y++;
  }
  for (; i < count; i++) {
    place_patch(s, i, pixel, channels);
    pixel += step;
    if (++s->x == p->output_width) {
      s->x = 0;
      s->y++;
      pixel = s->input + s->y * p->stride_height * p->input_width * channels;
    }
  }
}

/* --- larger kernels: patches are cut out of the lines --- */

/* Setting up a bulk move does not pay for a few vectors. */
static inline void copy_line(int8_t *to, const int8_t *from, int32_t bytes) {
  if (bytes < 128) {
    trecx_mve_copy(to, from, bytes);
  } else {
    trecx_mve_move(to, from, bytes);
  }
}

/* Input row y, or a row of padding, between the borders of a line. */
static void read_line(const staging *s, int8_t *line, int32_t y) {
  const trecx_conv2d_s8_mve_patch_params *p = s->p;
  const int32_t bytes = p->input_width * p->input_channels;
  line += p->pad_left * p->input_channels;
  if (y >= 0 && y < p->input_height) {
    copy_line(line, s->input + y * bytes, bytes);
  } else {
    trecx_mve_fill(line, p->input_zero_point, bytes);
  }
}

/* Fills the lines for output row s->y. Those that it shares with the row before are moved up; all
 * keep their borders. */
static void read_lines(const staging *s) {
  const int32_t line_bytes = s->p->line_bytes;
  const int32_t top = s->y * s->p->stride_height - s->p->pad_top;
  int32_t kept = s->line_count - s->p->stride_height;
  if (s->y == 0) {
    kept = 0;
    trecx_mve_set(s->lines, s->p->input_zero_point, s->line_count * line_bytes);
  }
  if (kept < 0) kept = 0;
  copy_line(s->lines, s->lines + (s->line_count - kept) * line_bytes, kept * line_bytes);
  for (int32_t j = kept; j < s->line_count; j++) {
    read_line(s, s->lines + j * line_bytes, top + j);
  }
}

/* A window consists of runs of neighbouring values: whole kernel rows, or single taps of a dilated
 * kernel. */
typedef struct {
  int32_t rows, row_step; /* kernel rows; in the lines */
  int32_t runs, run_step; /* of a kernel row */
  int32_t bytes;          /* of a run */
} runs;

static runs runs_of(const trecx_conv2d_s8_mve_patch_params *p) {
  const int32_t whole = p->dilation_width == 1;
  const runs found = {
      .rows = p->kernel_height,
      .row_step = p->dilation_height * p->line_bytes,
      .runs = whole ? 1 : p->kernel_width,
      .run_step = p->dilation_width * p->input_channels,
      .bytes = (whole ? p->kernel_width : 1) * p->input_channels,
  };
  return found;
}

/* Lays the runs of one window one behind the other; up to 15 bytes behind the last are overwritten.
 */
static void cut_window(const staging *s, const int8_t *corner, int8_t *to) {
  const runs r = runs_of(s->p);
  for (int32_t row = 0; row < r.rows; row++) {
    const int8_t *run = corner;
    for (int32_t n = 0; n < r.runs; n++) {
      for (int32_t k = 0; k < r.bytes; k += 16) vst1q_s8(to + k, vld1q_s8(run + k));
      run += r.run_step;
      to += r.bytes;
    }
    corner += r.row_step;
  }
}

/* If all runs begin at even offsets, windows can be gathered in half-words. Sets the offsets of a
 * window's values from its corner, two by two. */
static uint16_t *set_half_words(const staging *s, uint16_t *offsets) {
  const trecx_conv2d_s8_mve_patch_params *p = s->p;
  const runs r = runs_of(p);
  const int32_t values = p->kernel_height * p->kernel_width * p->input_channels;
  const int32_t odd = (r.bytes | p->line_bytes | (p->stride_width * p->input_channels)) & 1;
  int32_t row = 0, run = 0, at = 0;
  if (odd || s->line_count * p->line_bytes > UINT16_MAX) return NULL;
  for (int32_t k = 0; k < 8 * p->chunks; k++) {
    offsets[k] = 2 * k < values ? (uint16_t)(row * r.row_step + run * r.run_step + at) : 0;
    at += 2;
    if (at < r.bytes) continue;
    at = 0;
    if (++run < r.runs) continue;
    run = 0;
    row++;
  }
  return offsets;
}

static inline int8x16_t gather(const int8_t *corner, const uint16_t *offsets) {
  return vreinterpretq_s8_s16(
      vldrhq_gather_offset_s16((const int16_t *)(const void *)corner, vld1q_u16(offsets)));
}

static inline void gather_window(const uint16_t *offsets, const int8_t *corner, place to,
                                 int32_t chunks) {
  vst1q_s8(to.resident, gather(corner, offsets));
  vst1q_s8(to.resident + 16, gather(corner, offsets + 8));
  for (int32_t left = chunks - 2; left > 0; left--) {
    offsets += 8;
    vst1q_s8(to.streamed, gather(corner, offsets + 8));
    to.streamed += to.step;
  }
}

/* clang-format off */

/* 3x3 windows of three channels, of neighbouring output pixels `step` bytes apart. */
#define CUT_WINDOWS_3X3X3(name, step)                                                     \
  static void name(const int8_t *top, int32_t line_bytes, int8_t *to, int32_t count) {    \
    const int8_t *middle = top + line_bytes, *bottom = middle + line_bytes;               \
    __asm__ volatile(                                                                     \
        "dls lr, %[count] \n"                                                             \
        "1: vldrb.u8 q0, [%[top]], " step " \n"                                           \
        "vldrb.u8 q1, [%[middle]], " step " \n"                                           \
        "vldrb.u8 q2, [%[bottom]], " step " \n"                                           \
        "vstrb.8 q0, [%[to]], #32 \n"                                                     \
        "vstrb.8 q1, [%[to], #-23] \n"                                                    \
        "vstrb.8 q2, [%[to], #-14] \n"                                                    \
        "le lr, 1b \n"                                                                    \
        : [top] "+r"(top), [middle] "+r"(middle), [bottom] "+r"(bottom), [to] "+r"(to)    \
        : [count] "r"(count)                                                              \
        : "lr", "q0", "q1", "q2", "memory");                                              \
  }

/* clang-format on */

CUT_WINDOWS_3X3X3(cut_windows_3x3x3_stride1, "#3")
CUT_WINDOWS_3X3X3(cut_windows_3x3x3_stride2, "#6")

static int32_t is_3x3x3(const trecx_conv2d_s8_mve_patch_params *p) {
  return p->kernel_height == 3 && p->kernel_width == 3 && p->input_channels == 3 &&
         p->dilation_height == 1 && p->dilation_width == 1;
}

/* Patches of neighbouring output pixels, from patch `first` of the group on. */
static void stage_windows(const staging *s, int32_t first, int32_t count) {
  const trecx_conv2d_s8_mve_patch_params *p = s->p;
  const int32_t step = p->stride_width * p->input_channels;
  const int8_t *corner = s->lines + s->x * step;
  int8_t *resident = s->patches + 32 * first;
  if (is_3x3x3(p) && step == 3) {
    cut_windows_3x3x3_stride1(corner, p->line_bytes, resident, count);
  } else if (is_3x3x3(p) && step == 6) {
    cut_windows_3x3x3_stride2(corner, p->line_bytes, resident, count);
  } else if (s->half_words) {
    const int32_t chunks = p->chunks;
    place to = place_of(s, first);
    for (int32_t i = first; i < first + count;) {
      gather_window(s->half_words, corner, to, chunks);
      corner += step;
      to.resident += 32;
      to.streamed += 16;
      i++;
      if ((i & 3) == 0 || i > s->in_fours) to = place_of(s, i); /* the next block */
    }
  } else {
    for (int32_t i = first; i < first + count; i++) {
      cut_window(s, corner, s->window);
      place_patch(s, i, s->window, p->chunks * 16);
      corner += step;
    }
  }
}

static void stage_rows(staging *s, int32_t count) {
  for (int32_t done = 0; done < count;) {
    int32_t here = s->p->output_width - s->x;
    if (here > count - done) here = count - done;
    if (s->x == 0) read_lines(s);
    stage_windows(s, done, here);
    done += here;
    s->x += here;
    if (s->x == s->p->output_width) {
      s->x = 0;
      s->y++;
    }
  }
}

/* --- the convolution --- */

/* How many of `count` patches go in blocks of four, so that the others make whole blocks of three.
 * Blocks of four take all if the patches are too few or the tile is needed anyway. */
static int32_t count_in_fours(const trecx_conv2d_s8_mve_patch_params *p, int32_t count) {
  const int32_t in_threes = 3 * (-count & 3);
  if (p->chunks == 2 || p->output_channels & 1 || count < in_threes) return count;
  return count - in_threes;
}

static void set_channels(trecx_mve_product *work, int32_t channels) {
  work->output_step = 4 * channels;
  work->short_step = 3 * channels;
  trecx_mve_block_offsets(work->offsets, channels);
  memcpy(work->short_offsets, work->offsets, 12);
  memcpy(work->short_offsets + 6, work->offsets + 4, 4);
  for (int32_t i = 0; i < 8; i++) {
    work->wide_offsets[2 * i] = (uint8_t)work->offsets[i];
    work->wide_offsets[2 * i + 1] = (uint8_t)(work->offsets[i] + 4 * channels);
  }
}

/* Blocks of the staged group, from patch `first` on. */
static void run(trecx_mve_product *work, const staging *s, int32_t first, int8_t *output,
                void (*multiply_blocks)(trecx_mve_product *)) {
  work->patches = s->patches + first * s->p->chunks * 16;
  work->output = output;
  multiply_blocks(work);
}

/* What does not fit the blocks: less than four patches, or an odd number of channels. */
static void run_by_tile(trecx_mve_product *work, const staging *s, int32_t first, int32_t count,
                        int8_t *out, int8_t *tile, void (*multiply_blocks)(trecx_mve_product *)) {
  const int32_t channels = s->p->output_channels;
  const int32_t even_channels = trecx_mve_round_up(channels, 2);
  set_channels(work, even_channels);
  work->blocks = 1;
  for (int32_t i = first; i < count; i += 4) {
    run(work, s, i, tile, multiply_blocks);
    for (int32_t k = 0; k < 4 && i + k < count; k++) {
      memcpy(out + (i + k) * channels, tile + k * even_channels, (size_t)channels);
    }
  }
  set_channels(work, channels);
}

/* Channels up to which the offsets of two blocks are 8-bit. */
#define WIDEST_BY_TWO 36

static void multiply_group(trecx_mve_product *work, const staging *s, int32_t count, int8_t *out,
                           int8_t *tile, const products *multiply_by) {
  const int32_t channels = s->p->output_channels;
  const int32_t direct = channels & 1 ? 0 : s->in_fours & ~3;
  const int32_t by_two =
      direct % 8 == 0 && channels <= WIDEST_BY_TWO && work->zero_point == INT8_MIN;
  work->blocks = direct / 4;
  work->short_blocks = (count - s->in_fours) / 3;
  if (direct > 0) run(work, s, 0, out, by_two ? multiply_by->by_two : multiply_by->blocks);
  if (direct < s->in_fours) {
    run_by_tile(work, s, direct, s->in_fours, out, tile, multiply_by->blocks);
  }
  if (s->in_fours < count) {
    run(work, s, s->in_fours, out + s->in_fours * channels, multiply_by->short_blocks);
  }
}

static __attribute__((noinline)) void conv2d_patch(const trecx_conv2d_s8_mve_patch_params *p,
                                                   const int8_t *input, int8_t *output,
                                                   void *scratch, const products *multiply_by) {
  const int32_t pixels = p->output_height * p->output_width;
  const int32_t pointwise = p->line_bytes == 0;
  trecx_mve_product *work = scratch;
  staging s = {.p = p, .input = input, .patches = (int8_t *)(work + 1)};
  int8_t *tile = s.patches + p->group * p->chunks * 16;
  int8_t *out = output;

  work->zero_point = p->output_zero_point;
  work->weight_bytes = 32 * p->chunks;
  work->packed = p->packed;
  work->packed_end = p->packed + (p->output_channels + 1) / 2 * (work->weight_bytes + 20);
  work->correct_ties = p->activation_min < p->output_zero_point;
  work->streamed = p->chunks - 2;
  set_channels(work, p->output_channels);
  if (!pointwise) {
    s.window = tile + 16; /* the last patch may be followed by 15 rubbish bytes */
    s.lines = s.window + p->chunks * 16 + 16;
    s.line_count = (p->kernel_height - 1) * p->dilation_height + 1;
    s.half_words = set_half_words(&s, (uint16_t *)(void *)s.window);
    tile = s.lines + trecx_mve_round_up(s.line_count * p->line_bytes + 16, 4);
  }
  for (int32_t done = 0; done < pixels; done += p->group) {
    const int32_t count = pixels - done < p->group ? pixels - done : p->group;
    s.in_fours = count_in_fours(p, count);
    if (pointwise) {
      stage_pixels(&s, count);
    } else {
      stage_rows(&s, count);
    }
    multiply_group(work, &s, count, out, tile, multiply_by);
    out += count * p->output_channels;
  }
  trecx_mve_clamp(output, (int32_t)(out - output), p->activation_min, p->activation_max);
}

void trecx_conv2d_s8_mve_patch(const trecx_conv2d_s8_mve_patch_params *params, const int8_t *input,
                               int8_t *output, void *scratch) {
  static const products multiply_by = {trecx_mve_multiply, trecx_mve_multiply_short,
                                       trecx_mve_multiply};
  conv2d_patch(params, input, output, scratch, &multiply_by);
}

void trecx_conv2d_s8_mve_patch_32(const trecx_conv2d_s8_mve_patch_params *params,
                                  const int8_t *input, int8_t *output, void *scratch) {
  static const products multiply_by = {trecx_mve_multiply_narrow, NULL, trecx_mve_multiply_narrow};
  conv2d_patch(params, input, output, scratch, &multiply_by);
}

void trecx_conv2d_s8_mve_patch_32_relu(const trecx_conv2d_s8_mve_patch_params *params,
                                       const int8_t *input, int8_t *output, void *scratch) {
  static const products multiply_by = {trecx_mve_multiply_narrow_relu, NULL,
                                       trecx_mve_multiply_narrow_by_two_relu};
  conv2d_patch(params, input, output, scratch, &multiply_by);
}
