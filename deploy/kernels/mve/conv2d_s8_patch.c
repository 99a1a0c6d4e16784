/* Convolution as a product of two matrices: windows of the input ("patches", one a row) times
 * filters, four patches and two filters at a time.
 *
 * A group of patches is staged in scratch, in the order in which the product reads it. Then, for
 * each pair of filters, all blocks of four patches are computed; 32 weights of each filter stay in
 * registers meanwhile, the others are streamed. 1x1 convolutions copy pixels from the input; larger
 * windows are cut out of a few input lines with a border of zero points, held in scratch too. */
#include <stddef.h>
#include <string.h>

#include "trecx/kernels/conv2d_s8_mve.h"
#include "trecx/mve_arith.h"

typedef struct {
  int32_t requantisation[6]; /* of the pair; these eight words are read by one LDM */
  int32_t zero_point;
  int32_t output_step; /* from block to block */
  uint16_t offsets[8]; /* of a block's outputs, patch by patch, the two filters in turn */
  const int8_t *patches;
  int32_t blocks;
  int8_t *output; /* these two are read by one LDRD */
  int32_t weight_bytes;
  const int8_t *packed;
  int32_t pairs;
  int32_t streamed; /* chunks beyond the two that stay in registers */
} product;

/* Streamed chunks up to this number are unrolled. */
#define UNROLLED 15

#define LOAD "vldrw.u32 "
#define FIRST "vmladav.s8 "
#define MAC "vmladava.s8 "

/* 32 values of one patch; a, b: its accumulators. Weights in q0 to q3. */
#define RESIDENT_CHUNKS(a, b)                                                   \
  LOAD "q4, [r1], #16 \n" LOAD "q5, [r1], #16 \n" FIRST a ", q0, q4 \n" FIRST b \
       ", q1, q4 \n" MAC a ", q2, q5 \n" MAC b ", q3, q5 \n"

/* 16 values of four patches: 14 instructions of 4 bytes. */
#define STREAMED_CHUNK(load_weights)                                                        \
  LOAD "q4, [r1], #16 \n" load_weights MAC "r0, q6, q4 \n" LOAD "q5, [r1], #16 \n" MAC      \
       "r8, q7, q4 \n" MAC "r2, q6, q5 \n" LOAD "q4, [r1], #16 \n" MAC "r10, q7, q5 \n" MAC \
       "r4, q6, q4 \n" LOAD "q5, [r1], #16 \n" MAC "r12, q7, q4 \n" MAC "r6, q6, q5 \n" MAC \
       "lr, q7, q5 \n"

/* r1: patches; r3: the pair's requantisation, where its weights end; r5: output; r7: blocks left;
 * r9: product; r11: where the streamed chunks begin. */
#define PRODUCT(name, SCALE)                                                                     \
  static __attribute__((noinline)) void name(product *work) {                                    \
    register product *r9 __asm__("r9") = work;                                                   \
    __asm__ volatile(                                                                          \
        "push {r7} \n"                                                                         \
        /* Jump over the unrolled chunks that are not needed, or to the loop. */               \
        "ldr r0, [r9, %[streamed]] \n"                                                         \
        "adr.w r11, 30f \n"                                                                    \
        "mov r2, #56 \n"                                                                       \
        "mls r11, r0, r2, r11 \n"                                                              \
        "cmp r0, %[unrolled] \n"                                                               \
        "ble 9f \n"                                                                            \
        "adr.w r11, 40f \n"                                                                    \
        "9: orr r11, r11, #1 \n"                                                               \
        /* Next pair of filters. */                                                            \
        "10: ldr r3, [r9, %[packed]] \n"                                                       \
        "ldrd r1, r7, [r9, %[patches]] \n"                                                     \
        "ldrd r5, lr, [r9, %[output]] \n"                                                      \
        LOAD "q0, [r3] \n"                                                                     \
        LOAD "q1, [r3, #16] \n"                                                                \
        LOAD "q2, [r3, #32] \n"                                                                \
        LOAD "q3, [r3, #48] \n"                                                                \
        "add r3, r3, lr \n"                                                                    \
        "ldm r3, {r0, r2, r4, r6, r8, r10} \n"                                                 \
        "stm r9, {r0, r2, r4, r6, r8, r10} \n"                                                 \
        "add r0, r3, #24 \n"                                                                   \
        "str r0, [r9, %[packed]] \n"                                                           \
        "add r0, r5, #2 \n"                                                                    \
        "str r0, [r9, %[output]] \n"                                                           \
        /* Next four patches. */                                                               \
        "20: \n" RESIDENT_CHUNKS("r0", "r8") RESIDENT_CHUNKS("r2", "r10")                      \
        RESIDENT_CHUNKS("r4", "r12") RESIDENT_CHUNKS("r6", "lr")                               \
        "bx r11 \n"                                                                            \
        ".balign 4 \n"                                                                         \
        ".irp behind, 480, 448, 416, 384, 352, 320, 288, 256, 224, 192, 160, 128, 96, 64, 32 \n" \
        STREAMED_CHUNK(LOAD "q6, [r3, #-\\behind] \n" LOAD "q7, [r3, #16-\\behind] \n")        \
        ".endr \n"                                                                             \
        "30: \n" TRECX_MVE_BLOCK_TO_VECTORS                                                    \
        "ldm r9, {r0, r2, r4, r6, r8, r10, r12, lr} \n"                                        \
        SCALE                                                                                  \
        "vldrh.u16 q5, [r9, %[offsets]] \n"                                                    \
        "vqadd.s16 q4, q4, r12 \n"                                                             \
        "vqmovnb.s16 q4, q4 \n"                                                                \
        "vstrb.16 q4, [r5, q5] \n"                                                             \
        "add r5, r5, lr \n"                                                                    \
        "subs r7, r7, #1 \n"                                                                   \
        "bne 20b \n"                                                                           \
        "ldr r0, [r9, %[pairs]] \n"                                                            \
        "subs r0, r0, #1 \n"                                                                   \
        "str r0, [r9, %[pairs]] \n"                                                            \
        "bne 10b \n"                                                                           \
        "b 50f \n"                                                                             \
        /* Long filters: a loop over the streamed chunks. */                                   \
        ".balign 4 \n"                                                                         \
        "40: ldr r11, [r9, %[streamed]] \n"                                                    \
        "sub r3, r3, r11, lsl #5 \n"                                                           \
        "41: \n" STREAMED_CHUNK(LOAD "q6, [r3], #16 \n" LOAD "q7, [r3], #16 \n")               \
        "subs r11, r11, #1 \n"                                                                 \
        "bne 41b \n"                                                                           \
        "adr.w r11, 40b \n"                                                                    \
        "orr r11, r11, #1 \n"                                                                  \
        "b 30b \n"                                                                             \
        "50: pop {r7} \n"                                                                      \
        : "+r"(r9)                                                                             \
        : [streamed] "i"(offsetof(product, streamed)), [unrolled] "i"(UNROLLED),               \
          [packed] "i"(offsetof(product, packed)), [patches] "i"(offsetof(product, patches)),  \
          [output] "i"(offsetof(product, output)), [offsets] "i"(offsetof(product, offsets)),  \
          [pairs] "i"(offsetof(product, pairs))                                                \
        : TRECX_MVE_CLOBBERS); \
  }

PRODUCT(multiply, TRECX_MVE_BLOCK_SCALE)
PRODUCT(multiply_correcting_ties, TRECX_MVE_BLOCK_SCALE_TIES)

/* Parts of scratch, and where the staging stands. */
typedef struct {
  const trecx_conv2d_s8_mve_patch_params *p;
  const int8_t *input;
  int8_t *patches;
  int8_t *lines;  /* the input rows that the windows of one output row see */
  int8_t *window; /* one patch, before it is spread over its block */
  uint16_t
      *half_words; /* or: where the pairs of values of a window lie, NULL if they do not pair */
  int32_t line_count;
  int32_t y, x; /* output pixel that is staged next */
} staging;

/* Where patch i goes in its block of four: its first 32 values lie together; of every chunk that
 * follows, the 16 values of the four patches. */
static inline int8_t *resident_part(const staging *s, int32_t i) {
  return s->patches + (i & ~3) * s->p->chunks * 16 + (i & 3) * 32;
}

static inline int8_t *streamed_part(const staging *s, int32_t i) {
  return s->patches + (i & ~3) * s->p->chunks * 16 + 128 + (i & 3) * 16;
}

/* What is left of the last chunk is not written (its weights are 0). */
static void place_patch(const staging *s, int32_t i, const int8_t *patch, int32_t bytes) {
  int8_t *to = streamed_part(s, i);
  trecx_mve_copy(resident_part(s, i), patch, bytes < 32 ? bytes : 32);
  for (int32_t k = 32; k < bytes; k += 16) {
    trecx_mve_copy(to, patch + k, bytes - k < 16 ? bytes - k : 16);
    to += 64;
  }
}

/* --- 1x1 kernels: patches are pixels --- */

/* One chunk of `blocks` times four neighbouring pixels. */
static inline void spread_chunk(int8_t *to, int32_t patch_step, int32_t block_step,
                                const int8_t *from, int32_t channels, int32_t blocks) {
  for (; blocks > 0; blocks--) {
    const int8x16_t a = vld1q_s8(from), b = vld1q_s8(from + channels);
    from += 2 * channels;
    const int8x16_t c = vld1q_s8(from), d = vld1q_s8(from + channels);
    from += 2 * channels;
    vst1q_s8(to, a);
    vst1q_s8(to + patch_step, b);
    vst1q_s8(to + 2 * patch_step, c);
    vst1q_s8(to + 3 * patch_step, d);
    to += block_step;
  }
}

/* Neighbouring pixels, channels a multiple of 16; returns how many were staged. */
static int32_t stage_whole_blocks(const staging *s, const int8_t *pixel, int32_t count) {
  const int32_t channels = s->p->input_channels, chunks = s->p->chunks;
  const int32_t blocks = count / 4, block_step = 64 * chunks;
  int8_t *to = streamed_part(s, 0);
  if (chunks == 2) {
    trecx_mve_copy(s->patches, pixel, count * 32);
    return count;
  }
  spread_chunk(s->patches, 32, block_step, pixel, channels, blocks);
  spread_chunk(s->patches + 16, 32, block_step, pixel + 16, channels, blocks);
  for (int32_t k = 2; k < chunks; k++) {
    spread_chunk(to, 16, block_step, pixel + 16 * k, channels, blocks);
    to += 64;
  }
  return 4 * blocks;
}

static void stage_pixels(staging *s, int32_t count) {
  const trecx_conv2d_s8_mve_patch_params *p = s->p;
  const int32_t channels = p->input_channels;
  const int32_t step = p->stride_width * channels;
  const int32_t dense = p->stride_width == 1 && p->stride_height == 1 && channels % 16 == 0;
  const int8_t *pixel =
      s->input + (s->y * p->stride_height * p->input_width + s->x * p->stride_width) * channels;
  int32_t i = 0;
  if (dense) {
    i = stage_whole_blocks(s, pixel, count);
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

/* Input row y, or a row of padding, between the borders of a line. */
static void read_line(const staging *s, int8_t *line, int32_t y) {
  const trecx_conv2d_s8_mve_patch_params *p = s->p;
  const int32_t bytes = p->input_width * p->input_channels;
  line += p->pad_left * p->input_channels;
  if (y >= 0 && y < p->input_height) {
    trecx_mve_copy(line, s->input + y * bytes, bytes);
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
    trecx_mve_fill(s->lines, s->p->input_zero_point, s->line_count * line_bytes);
  }
  if (kept < 0) kept = 0;
  trecx_mve_copy(s->lines, s->lines + (s->line_count - kept) * line_bytes, kept * line_bytes);
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

static void gather_window(const staging *s, const int8_t *corner, int32_t i) {
  const uint16_t *offsets = s->half_words;
  int8_t *resident = resident_part(s, i), *streamed = streamed_part(s, i);
  vst1q_s8(resident, gather(corner, offsets));
  vst1q_s8(resident + 16, gather(corner, offsets + 8));
  for (int32_t left = s->p->chunks - 2; left > 0; left--) {
    offsets += 8;
    vst1q_s8(streamed, gather(corner, offsets + 8));
    streamed += 64;
  }
}

/* 3x3 windows of three channels, of neighbouring output pixels; `step` is a constant. */
static inline void cut_windows_3x3x3(const int8_t *corner, int32_t line_bytes, int32_t step,
                                     int8_t *to, int32_t count) {
  const int8_t *top = corner, *middle = top + line_bytes, *bottom = middle + line_bytes;
  for (; count > 0; count--) {
    vst1q_s8(to, vld1q_s8(top));
    vst1q_s8(to + 9, vld1q_s8(middle));
    vst1q_s8(to + 18, vld1q_s8(bottom));
    top += step;
    middle += step;
    bottom += step;
    to += 32;
  }
}

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
    cut_windows_3x3x3(corner, p->line_bytes, 3, resident, count);
  } else if (is_3x3x3(p) && step == 6) {
    cut_windows_3x3x3(corner, p->line_bytes, 6, resident, count);
  } else {
    for (int32_t i = first; i < first + count; i++) {
      if (s->half_words) {
        gather_window(s, corner, i);
      } else {
        cut_window(s, corner, s->window);
        place_patch(s, i, s->window, p->chunks * 16);
      }
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

/* Blocks of the staged group from block `first` on. */
static void run_blocks(product *work, const staging *s, int32_t first, int32_t blocks,
                       int8_t *output, int32_t channels, void (*multiply_blocks)(product *)) {
  const int32_t chunks = s->p->chunks;
  work->patches = s->patches + first * chunks * 64;
  work->blocks = blocks;
  work->output = output;
  work->output_step = 4 * channels;
  work->packed = s->p->packed;
  work->pairs = (s->p->output_channels + 1) / 2;
  trecx_mve_block_offsets(work->offsets, channels);
  multiply_blocks(work);
}

static __attribute__((noinline)) void conv2d_patch(const trecx_conv2d_s8_mve_patch_params *p,
                                                   const int8_t *input, int8_t *output,
                                                   void *scratch,
                                                   void (*multiply_blocks)(product *)) {
  const int32_t channels = p->output_channels, even_channels = trecx_mve_round_up(channels, 2);
  const int32_t pixels = p->output_height * p->output_width;
  const int32_t pointwise = p->line_bytes == 0;
  product *work = scratch;
  staging s = {.p = p, .input = input, .patches = (int8_t *)(work + 1)};
  int8_t *tile = s.patches + p->group * p->chunks * 16;
  int8_t *out = output;

  work->zero_point = p->output_zero_point;
  work->weight_bytes = 32 * p->chunks;
  work->streamed = p->chunks - 2;
  if (!pointwise) {
    s.window = tile + 16; /* the last patch may be followed by 15 rubbish bytes */
    s.lines = s.window + p->chunks * 16 + 16;
    s.line_count = (p->kernel_height - 1) * p->dilation_height + 1;
    s.half_words = set_half_words(&s, (uint16_t *)(void *)s.window);
    tile = s.lines + trecx_mve_round_up(s.line_count * p->line_bytes + 16, 4);
  }
  for (int32_t done = 0; done < pixels; done += p->group) {
    const int32_t count = pixels - done < p->group ? pixels - done : p->group;
    /* Blocks that would write behind the group or between its channels go to the tile first. */
    const int32_t direct = even_channels == channels ? count / 4 : 0;
    if (pointwise) {
      stage_pixels(&s, count);
    } else {
      stage_rows(&s, count);
    }
    if (direct > 0) run_blocks(work, &s, 0, direct, out, channels, multiply_blocks);
    for (int32_t i = 4 * direct; i < count; i += 4) {
      run_blocks(work, &s, i / 4, 1, tile, even_channels, multiply_blocks);
      for (int32_t k = 0; k < 4 && i + k < count; k++) {
        memcpy(out + (i + k) * channels, tile + k * even_channels, (size_t)channels);
      }
    }
    out += count * channels;
  }
  trecx_mve_clamp(output, pixels * channels, p->activation_min, p->activation_max);
}

void trecx_conv2d_s8_mve_patch(const trecx_conv2d_s8_mve_patch_params *params, const int8_t *input,
                               int8_t *output, void *scratch) {
  conv2d_patch(params, input, output, scratch, multiply_correcting_ties);
}

void trecx_conv2d_s8_mve_patch_relu(const trecx_conv2d_s8_mve_patch_params *params,
                                    const int8_t *input, int8_t *output, void *scratch) {
  conv2d_patch(params, input, output, scratch, multiply);
}
