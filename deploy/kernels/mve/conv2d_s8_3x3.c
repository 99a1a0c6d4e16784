/* 3x3 convolution: four neighbouring output pixels times two filters at a time.
 *
 * Three input lines are kept in scratch, with a border of the input's zero point, split into
 * planes of 16 channels. In a plane, neighbouring pixels are 16 bytes apart, so the loads of a
 * block have constant offsets whatever the number of channels; and an activation vector serves
 * every kx and filter that needs it. A kernel row of a block takes 24 VMLADAV and, at stride 1, 12
 * loads. */
#include <stddef.h>
#include <string.h>

#include "trecx/kernels/conv2d_s8_mve.h"
#include "trecx/mve_arith.h"
#include "trecx/mve_memory.h"

/* How to go on after the 3x3 taps of 16 channels: read by one LDM that replaces the three line
 * pointers and jumps. The nodes of a block form a ring; the last one jumps to the epilogue. */
typedef struct node {
  const int8_t *lines[3];
  struct node *next;
  uint32_t code; /* set by the assembly */
} node;

typedef struct {
  int32_t output_step; /* from the end of a block's first pixel to the next block */
  int32_t blocks;      /* these two are read by one LDRD */
  int8_t *output;      /* first pixel of the first block */
  const int8_t *packed;
  int32_t chunks;
  int32_t correct_ties;
  uint16_t offsets[8]; /* of the block's outputs, pixel by pixel, the two filters in turn */
  int32_t line_step[4];
  node nodes[];
} row;

/* clang-format off */

/* One kernel row, stride 1. Pixel offsets 0 to 5 of the line; FIRST is "vmladav.s8 " where it starts
 * the sums, else "vmladava.s8 ". */
#define KERNEL_ROW_STRIDE1(line, FIRST)   \
  "vldrw.u32 q0, [" line "] \n"           \
  "vldrw.u32 q6, [r7], #16 \n"            \
  "vldrw.u32 q7, [r7], #16 \n"            \
  FIRST "r0, q0, q6 \n"                   \
  "vldrw.u32 q1, [" line ", #16] \n"      \
  FIRST "r8, q0, q7 \n"                   \
  "vldrw.u32 q0, [r7], #16 \n"            \
  FIRST "r2, q1, q6 \n"                   \
  "vldrw.u32 q2, [" line ", #32] \n"      \
  FIRST "r10, q1, q7 \n"                  \
  FIRST "r4, q2, q6 \n"                   \
  "vldrw.u32 q3, [" line ", #48] \n"      \
  FIRST "r12, q2, q7 \n"                  \
  FIRST "r6, q3, q6 \n"                   \
  "vldrw.u32 q6, [r7], #16 \n"            \
  FIRST "lr, q3, q7 \n"                   \
  "vldrw.u32 q7, [r7], #16 \n"            \
  "vmladava.s8 r0, q1, q0 \n"             \
  "vldrw.u32 q4, [" line ", #64] \n"      \
  "vmladava.s8 r8, q1, q6 \n"             \
  "vldrw.u32 q1, [r7], #16 \n"            \
  "vmladava.s8 r2, q2, q0 \n"             \
  "vmladava.s8 r10, q2, q6 \n"            \
  "vldrw.u32 q5, [" line ", #80] \n"      \
  "vmladava.s8 r4, q3, q0 \n"             \
  "vmladava.s8 r12, q3, q6 \n"            \
  "vmladava.s8 r6, q4, q0 \n"             \
  "vmladava.s8 lr, q4, q6 \n"             \
  "vmladava.s8 r0, q2, q7 \n"             \
  "vmladava.s8 r8, q2, q1 \n"             \
  "vmladava.s8 r2, q3, q7 \n"             \
  "vmladava.s8 r10, q3, q1 \n"            \
  "vmladava.s8 r4, q4, q7 \n"             \
  "vmladava.s8 r12, q4, q1 \n"            \
  "vmladava.s8 r6, q5, q7 \n"             \
  "vmladava.s8 lr, q5, q1 \n"

/* The same at stride 2: pixel offsets 0 to 8. */
#define KERNEL_ROW_STRIDE2(line, FIRST)   \
  "vldrw.u32 q0, [" line "] \n"           \
  "vldrw.u32 q6, [r7], #16 \n"            \
  "vldrw.u32 q7, [r7], #16 \n"            \
  FIRST "r0, q0, q6 \n"                   \
  "vldrw.u32 q1, [" line ", #32] \n"      \
  FIRST "r8, q0, q7 \n"                   \
  "vldrw.u32 q4, [" line ", #16] \n"      \
  FIRST "r2, q1, q6 \n"                   \
  "vldrw.u32 q2, [" line ", #64] \n"      \
  FIRST "r10, q1, q7 \n"                  \
  "vldrw.u32 q5, [" line ", #48] \n"      \
  FIRST "r4, q2, q6 \n"                   \
  "vldrw.u32 q3, [" line ", #96] \n"      \
  FIRST "r12, q2, q7 \n"                  \
  FIRST "r6, q3, q6 \n"                   \
  "vldrw.u32 q6, [r7], #16 \n"            \
  FIRST "lr, q3, q7 \n"                   \
  "vldrw.u32 q7, [r7], #16 \n"            \
  "vmladava.s8 r0, q4, q6 \n"             \
  "vldrw.u32 q0, [" line ", #80] \n"      \
  "vmladava.s8 r8, q4, q7 \n"             \
  "vldrw.u32 q4, [" line ", #112] \n"     \
  "vmladava.s8 r2, q5, q6 \n"             \
  "vmladava.s8 r10, q5, q7 \n"            \
  "vldrw.u32 q5, [r7], #16 \n"            \
  "vmladava.s8 r4, q0, q6 \n"             \
  "vmladava.s8 r12, q0, q7 \n"            \
  "vldrw.u32 q0, [r7], #16 \n"            \
  "vmladava.s8 r6, q4, q6 \n"             \
  "vmladava.s8 lr, q4, q7 \n"             \
  "vmladava.s8 r0, q1, q5 \n"             \
  "vldrw.u32 q4, [" line ", #128] \n"     \
  "vmladava.s8 r8, q1, q0 \n"             \
  "vmladava.s8 r2, q2, q5 \n"             \
  "vmladava.s8 r10, q2, q0 \n"            \
  "vmladava.s8 r4, q3, q5 \n"             \
  "vmladava.s8 r12, q3, q0 \n"            \
  "vmladava.s8 r6, q4, q5 \n"             \
  "vmladava.s8 lr, q4, q0 \n"

#define KERNEL(KERNEL_ROW, FIRST)   \
  KERNEL_ROW("r1", FIRST)           \
  KERNEL_ROW("r3", "vmladava.s8 ")  \
  KERNEL_ROW("r5", "vmladava.s8 ")

/* Four pixels times one pair of filters are finished; go on with the next pair, if there is one. */
#define EPILOGUE(SCALE)                    \
  TRECX_MVE_BLOCK_TO_VECTORS               \
  "ldm r7!, {r0, r2, r4, r6, r8, r10, r12, lr} \n" \
  SCALE                                    \
  "vldrh.u16 q5, [r9, %[offsets]] \n"      \
  "vqadd.s16 q4, q4, r12 \n"               \
  "vqmovnb.s16 q4, q4 \n"                  \
  "vstrb.16 q4, [r11, q5] \n"              \
  "add r11, r11, #2 \n"                    \
  "cmp lr, #0 \n"                          \
  "bne 20b \n"

/* Next block of the row, if there is one: its output. */
#define NEXT_OUTPUT                          \
  "ldrd r4, r2, [r9, %[output_step]] \n"     \
  "subs r2, #1 \n"                           \
  "beq 50f \n"                               \
  "str r2, [r9, %[blocks]] \n"               \
  "add r11, r11, r4 \n"

#define FIELD(field) [field] "i"((int)offsetof(row, field) - (int)offsetof(row, nodes))
#define FIELDS                                                                            \
  FIELD(output), FIELD(output_step), FIELD(packed), FIELD(blocks), FIELD(chunks),         \
  FIELD(correct_ties), FIELD(offsets), FIELD(line_step)

/* All blocks of a row. r1, r3, r5: lines; r7: packed filters; r9: the node that follows, or, in the
 * epilogue, the first one; r11: output. */
#define ROW_OF_BLOCKS(name, KERNEL_ROW)                                     \
  static __attribute__((noinline)) void name(row *work) {                   \
    register node *r9 __asm__("r9") = work->nodes;                          \
    __asm__ volatile(                                                       \
        "push {r7} \n"                                                      \
        /* Link the ring of nodes. */                                       \
        "adr.w r2, 21f \n"                                                  \
        "orr r2, r2, #1 \n"                                                 \
        "mov r1, r9 \n"                                                     \
        "ldr r0, [r9, %[chunks]] \n"                                        \
        "10: add r3, r1, #20 \n"                                            \
        "strd r3, r2, [r1, #12] \n"                                         \
        "mov r5, r1 \n"                                                     \
        "mov r1, r3 \n"                                                     \
        "subs r0, #1 \n"                                                    \
        "bne 10b \n"                                                        \
        "ldr r0, [r9, %[correct_ties]] \n"                                  \
        "adr.w r2, 30f \n"                                                  \
        "cbz r0, 11f \n"                                                    \
        "adr.w r2, 31f \n"                                                  \
        "11: orr r2, r2, #1 \n"                                             \
        "strd r9, r2, [r5, #12] \n"                                         \
        "ldr r11, [r9, %[output]] \n"                                       \
        "12: ldm r5, {r1, r3, r5} \n"                                       \
        "ldr r7, [r9, %[packed]] \n"                                        \
        /* The first 16 channels start the sums. */                         \
        "20: \n"                                                            \
        KERNEL(KERNEL_ROW, "vmladav.s8 ")                                   \
        "ldm r9, {r1, r3, r5, r9, pc} \n"                                   \
        ".balign 4 \n"                                                      \
        "21: \n"                                                            \
        KERNEL(KERNEL_ROW, "vmladava.s8 ")                                  \
        "ldm r9, {r1, r3, r5, r9, pc} \n"                                   \
        ".balign 4 \n"                                                      \
        "30: \n"                                                            \
        EPILOGUE(TRECX_MVE_BLOCK_SCALE)                                     \
        "b 40f \n"                                                          \
        ".balign 4 \n"                                                      \
        "31: \n"                                                            \
        EPILOGUE(TRECX_MVE_BLOCK_SCALE_TIES)                                \
        "40: \n"                                                            \
        NEXT_OUTPUT                                                         \
        /* Move all line pointers. */                                       \
        "ldr r0, [r9, %[chunks]] \n"                                        \
        "mov r5, r9 \n"                                                     \
        "vldrw.u32 q1, [r9, %[line_step]] \n"                               \
        "41: vldrw.u32 q0, [r5] \n"                                         \
        "vadd.i32 q0, q0, q1 \n"                                            \
        "vstrw.32 q0, [r5], #20 \n"                                         \
        "subs r0, #1 \n"                                                    \
        "bne 41b \n"                                                        \
        "sub r5, r5, #20 \n"                                                \
        "b 12b \n"                                                          \
        "50: pop {r7} \n"                                                   \
        : "+r"(r9)                                                          \
        : FIELDS                                                            \
        : TRECX_MVE_CLOBBERS);                                              \
  }

/* The same for 16 input channels: no nodes but the first, which holds the lines. */
#define ROW_OF_SINGLE_BLOCKS(name, KERNEL_ROW, step, SCALE)                 \
  static __attribute__((noinline)) void name(row *work) {                   \
    register node *r9 __asm__("r9") = work->nodes;                          \
    __asm__ volatile(                                                       \
        "push {r7} \n"                                                      \
        "ldr r11, [r9, %[output]] \n"                                       \
        "ldm r9, {r1, r3, r5} \n"                                           \
        "12: ldr r7, [r9, %[packed]] \n"                                    \
        "20: \n"                                                            \
        KERNEL(KERNEL_ROW, "vmladav.s8 ")                                   \
        EPILOGUE(SCALE)                                                     \
        NEXT_OUTPUT                                                         \
        "add r1, r1, " step " \n"                                           \
        "add r3, r3, " step " \n"                                           \
        "add r5, r5, " step " \n"                                           \
        "b 12b \n"                                                          \
        "50: pop {r7} \n"                                                   \
        : "+r"(r9)                                                          \
        : FIELDS                                                            \
        : TRECX_MVE_CLOBBERS);                                              \
  }

/* clang-format on */

ROW_OF_BLOCKS(row_stride1, KERNEL_ROW_STRIDE1)
ROW_OF_BLOCKS(row_stride2, KERNEL_ROW_STRIDE2)
ROW_OF_SINGLE_BLOCKS(single_stride1, KERNEL_ROW_STRIDE1, "#64", TRECX_MVE_BLOCK_SCALE_TIES)
ROW_OF_SINGLE_BLOCKS(single_stride2, KERNEL_ROW_STRIDE2, "#128", TRECX_MVE_BLOCK_SCALE_TIES)
ROW_OF_SINGLE_BLOCKS(single_stride1_relu, KERNEL_ROW_STRIDE1, "#64", TRECX_MVE_BLOCK_SCALE)
ROW_OF_SINGLE_BLOCKS(single_stride2_relu, KERNEL_ROW_STRIDE2, "#128", TRECX_MVE_BLOCK_SCALE)

/* The ring of lines. */
typedef struct {
  int8_t *lines[3]; /* of [chunks][width][16] */
  int32_t chunks;
  int32_t plane_bytes; /* width * 16 */
} ring;

/* Input row y, or zero points below the last row, into the line. */
static void stage_line(const trecx_conv2d_s8_mve_3x3_params *p, const ring *r, int8_t *line,
                       const int8_t *input, int32_t y) {
  const int32_t width = p->input_width, channels = p->input_channels;
  const int8_t *from = input + y * width * channels;
  line += p->pad_left * 16;
  for (int32_t k = r->chunks; k > 0; k--) {
    if (y >= p->input_height) {
      trecx_mve_set(line, p->input_zero_point, width * 16);
    } else if (r->chunks == 1) {
      trecx_mve_move(line, from, width * 16);
    } else {
      trecx_mve_copy_vectors(line, from, channels, width);
    }
    from += 16;
    line += r->plane_bytes;
  }
}

/* Points the nodes at pixel `first` of the lines. Node k leads to chunk k + 1, the last one to
 * chunk 0. */
static void set_nodes(row *work, const ring *r, int32_t first) {
  int32_t at = first * 16;
  node *n = &work->nodes[r->chunks - 1];
  for (int32_t k = 0; k < r->chunks; k++) {
    for (int32_t ky = 0; ky < 3; ky++) n->lines[ky] = r->lines[ky] + at;
    n = &work->nodes[k];
    at += r->plane_bytes;
  }
}

/* `blocks` blocks of a row, from pixel `first` of the lines on. */
static void run_blocks(row *work, const ring *r, int32_t first, int32_t blocks, int8_t *output,
                       void (*run)(row *)) {
  set_nodes(work, r, first);
  work->blocks = blocks;
  work->output = output;
  run(work);
}

/* The distance of output pixels. */
static void set_channels(row *work, int32_t channels) {
  work->output_step = 3 * channels;
  trecx_mve_block_offsets(work->offsets, channels);
}

/* Pixels from x on, by the tile: blocks that would write beyond the row or between its channels. */
static void run_by_tile(row *work, const ring *r, const trecx_conv2d_s8_mve_3x3_params *p,
                        int32_t stride, int32_t x, int8_t *out, int8_t *tile, void (*run)(row *)) {
  const int32_t channels = p->output_channels, even_channels = trecx_mve_round_up(channels, 2);
  set_channels(work, even_channels);
  for (; x < p->output_width; x += 4) {
    run_blocks(work, r, x * stride, 1, tile, run);
    for (int32_t i = 0; i < 4 && x + i < p->output_width; i++) {
      memcpy(out + (x + i) * channels, tile + i * even_channels, (size_t)channels);
    }
  }
  set_channels(work, channels);
}

TRECX_MVE_FRAME void conv2d_3x3(const trecx_conv2d_s8_mve_3x3_params *p, const int8_t *input,
                                int8_t *output, void *scratch, int32_t stride, void (*run)(row *)) {
  const int32_t chunks = p->input_channels / 16;
  const int32_t channels = p->output_channels, width = p->output_width;
  const int32_t reach = (trecx_mve_round_up(width, 4) - 1) * stride + 3;
  const int32_t filled = p->pad_left + p->input_width;
  const int32_t plane_bytes = 16 * (filled > reach ? filled : reach);
  const int32_t line_bytes = chunks * plane_bytes;
  int8_t *lines = scratch;
  ring r = {{lines, lines + line_bytes, lines + 2 * line_bytes}, chunks, plane_bytes};
  row *work = (row *)(lines + 3 * line_bytes);
  int8_t *tile = (int8_t *)&work->nodes[chunks];
  const int32_t direct = channels & 1 ? 0 : width / 4; /* blocks */
  int8_t *out = output;
  int32_t staged = 0; /* input rows */

  work->packed = p->packed;
  work->chunks = chunks;
  work->correct_ties = p->activation_min < p->output_zero_point;
  for (int32_t ky = 0; ky < 3; ky++) work->line_step[ky] = 64 * stride;
  work->line_step[3] = 0;
  set_channels(work, channels);
  trecx_mve_set(lines, p->input_zero_point, 3 * line_bytes);
  for (; staged < 3 - p->pad_top; staged++) {
    stage_line(p, &r, r.lines[staged + p->pad_top], input, staged);
  }

  for (int32_t y = 0;;) {
    if (direct > 0) run_blocks(work, &r, 0, direct, out, run);
    if (4 * direct < width) run_by_tile(work, &r, p, stride, 4 * direct, out, tile, run);
    out += width * channels;
    if (++y == p->output_height) break;
    for (int32_t step = p->stride_height; step > 0; step--) {
      int8_t *oldest = r.lines[0];
      r.lines[0] = r.lines[1];
      r.lines[1] = r.lines[2];
      r.lines[2] = oldest;
      stage_line(p, &r, oldest, input, staged++);
    }
  }
  trecx_mve_clamp(output, (int32_t)(out - output), p->activation_min, p->activation_max);
}

void trecx_conv2d_s8_mve_3x3_stride1(const trecx_conv2d_s8_mve_3x3_params *params,
                                     const int8_t *input, int8_t *output, void *scratch) {
  conv2d_3x3(params, input, output, scratch, 1, row_stride1);
}

void trecx_conv2d_s8_mve_3x3_stride2(const trecx_conv2d_s8_mve_3x3_params *params,
                                     const int8_t *input, int8_t *output, void *scratch) {
  conv2d_3x3(params, input, output, scratch, 2, row_stride2);
}

void trecx_conv2d_s8_mve_3x3x16_stride1(const trecx_conv2d_s8_mve_3x3_params *params,
                                        const int8_t *input, int8_t *output, void *scratch) {
  conv2d_3x3(params, input, output, scratch, 1, single_stride1);
}

void trecx_conv2d_s8_mve_3x3x16_stride2(const trecx_conv2d_s8_mve_3x3_params *params,
                                        const int8_t *input, int8_t *output, void *scratch) {
  conv2d_3x3(params, input, output, scratch, 2, single_stride2);
}

void trecx_conv2d_s8_mve_3x3x16_stride1_relu(const trecx_conv2d_s8_mve_3x3_params *params,
                                             const int8_t *input, int8_t *output, void *scratch) {
  conv2d_3x3(params, input, output, scratch, 1, single_stride1_relu);
}

void trecx_conv2d_s8_mve_3x3x16_stride2_relu(const trecx_conv2d_s8_mve_3x3_params *params,
                                             const int8_t *input, int8_t *output, void *scratch) {
  conv2d_3x3(params, input, output, scratch, 2, single_stride2_relu);
}
