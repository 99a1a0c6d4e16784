/* 1x1 convolution of at most 16 channels: four pixels stay in registers, filters are streamed.
 *
 * Four filters at a time give four pixels times four neighbouring channels, that is one word for
 * each pixel, written by one scatter. A pixel is loaded as 16 bytes; what belongs to the pixels
 * behind it meets weights of 0. Pixels whose load would leave the input are copied to scratch
 * first. Eight channels leave half of a vector free: a constant there, times eight more weights, is
 * the bias. */
#include <stddef.h>
#include <string.h>

#include "trecx/kernels/conv2d_s8_mve.h"
#include "trecx/mve_arith.h"

typedef struct {
  const int8_t *packed; /* these five words are read by one LDM */
  int32_t pixel_step;
  int32_t zero_point;
  const int8_t *pixels;
  int32_t quads;
  int32_t output_step; /* these two by one LDRD */
  int32_t blocks;
  uint32_t addresses[4]; /* of the four output pixels, minus 4 */
  int8_t saved[16];      /* the fourth pixel */
  uint32_t bias_factors[2];
} product;

/* What the free half of a vector holds: int8 values 127 (seven times) and 1. */
#define BIAS_FACTORS {0x7F7F7F7F, 0x017F7F7F}

/* clang-format off */

/* Accumulators of four pixels for the next filter. */
#define DOTS(a, b, c, d)            \
  "vldrw.u32 q4, [r1], #16 \n"      \
  "vmladav.s8 " a ", q0, q4 \n"     \
  "vmladav.s8 " b ", q1, q4 \n"     \
  "vmladav.s8 " c ", q2, q4 \n"     \
  "vmladav.s8 " d ", q3, q4 \n"

#define TO_VECTOR(q, a, b, c, d)                  \
  "vmov " q "[2], " q "[0], " a ", " c " \n"      \
  "vmov " q "[3], " q "[1], " b ", " d " \n"

/* Accumulators in q, int16 values to the bottom (b) or top (t) halves of `to`; temp is free. */
#define SCALE(q, temp, to, half, bias, multiplier, shift) \
  "vadd.i32 " q ", " q ", " bias " \n"                    \
  "vqrdmulh.s32 " q ", " q ", " multiplier " \n"          \
  "vrshl.s32 " q ", " shift " \n"                         \
  "vqmovn" half ".s32 " to ", " q " \n"

/* The same where the bias is among the weights. */
#define SCALE_BIASED(q, temp, to, half, bias, multiplier, shift) \
  "vqrdmulh.s32 " q ", " q ", " multiplier " \n"                 \
  "vrshl.s32 " q ", " shift " \n"                                \
  "vqmovn" half ".s32 " to ", " q " \n"

/* The same with a bias, ties corrected (see trecx/mve_arith.h). */
#define SCALE_TIES(q, temp, to, half, bias, multiplier, shift) \
  "vadd.i32 " q ", " q ", " bias " \n"                         \
  "vshr.s32 " temp ", " q ", #31 \n"                           \
  "vqrdmlah.s32 " temp ", " q ", " multiplier " \n"            \
  "vrshl.s32 " temp ", " shift " \n"                           \
  "vqmovn" half ".s32 " to ", " temp " \n"

/* A pixel, as 16 bytes or to the lower half of a vector only. */
#define LOAD_HALF_0 "vldr.64 d0, [r4] \n"
#define LOAD_HALF_1 "vldr.64 d2, [r4] \n"
#define LOAD_HALF_2 "vldr.64 d4, [r4] \n"
#define LOAD_HALF_3 "vldr.64 d6, [r4] \n"
#define LOAD_WHOLE_0 "vldrb.u8 q0, [r4] \n"
#define LOAD_WHOLE_1 "vldrb.u8 q1, [r4] \n"
#define LOAD_WHOLE_2 "vldrb.u8 q2, [r4] \n"
#define LOAD_WHOLE_3 "vldrb.u8 q3, [r4] \n"

#define SET_FREE_HALVES                      \
  "vldr.64 d1, [r9, %[bias_factors]] \n"     \
  "vldr.64 d3, [r9, %[bias_factors]] \n"     \
  "vldr.64 d5, [r9, %[bias_factors]] \n"     \
  "vldr.64 d7, [r9, %[bias_factors]] \n"

#define FIELD(field) [field] "i"(offsetof(product, field))

/* int16 results in q5 and q6 to int8 in q5; r3: zero point. */
#define NARROW               \
  "vqadd.s16 q5, q5, r3 \n"  \
  "vqadd.s16 q6, q6, r3 \n"  \
  "vqmovnb.s16 q5, q5 \n"    \
  "vqmovnt.s16 q5, q6 \n"

/* The same for a zero point of -128: limited to 0 to 255 before it is added. */
#define NARROW_UNSIGNED      \
  "vqmovunb.s16 q5, q5 \n"   \
  "vqmovunt.s16 q5, q6 \n"   \
  "vadd.i8 q5, q5, r3 \n"

/* q0 to q3: pixels; q5, q6: results of even and odd filters; q7: output addresses. r1: packed
 * filters; r3: zero point; r9: work; r11: quads left. SPARE is a free vector for the second pair
 * of a quad; SAVE and RESTORE keep what it holds. */
#define PRODUCT(name, SET_UP, LOAD, SCALE, SPARE, SAVE, RESTORE, NARROW)                  \
  static __attribute__((noinline)) void name(product *work) {                             \
    register product *r9 __asm__("r9") = work;                                            \
    __asm__ volatile(                                                                     \
        "push {r7} \n"                                                                    \
        SET_UP                                                                            \
        "vldrw.u32 q7, [r9, %[addresses]] \n"                                             \
        /* Next four pixels. */                                                           \
        "10: ldm r9, {r1, r2, r3, r4, r11} \n"                                            \
        LOAD##_0                                                                          \
        "add r4, r4, r2 \n"                                                               \
        LOAD##_1                                                                          \
        "add r4, r4, r2 \n"                                                               \
        LOAD##_2                                                                          \
        "add r4, r4, r2 \n"                                                               \
        LOAD##_3                                                                          \
        "add r4, r4, r2 \n"                                                               \
        "str r4, [r9, %[pixels]] \n"                                                      \
        SAVE                                                                              \
        /* Next four filters. */                                                          \
        "20: \n"                                                                          \
        DOTS("r0", "r2", "r4", "r6")                                                      \
        TO_VECTOR("q5", "r0", "r2", "r4", "r6")                                           \
        DOTS("r8", "r10", "r12", "lr")                                                    \
        TO_VECTOR("q6", "r8", "r10", "r12", "lr")                                         \
        "ldm r1!, {r0, r2, r4, r6, r8, r10} \n"                                           \
        SCALE("q5", "q4", "q5", "b", "r0", "r2", "r4")                                    \
        SCALE("q6", "q4", "q6", "b", "r6", "r8", "r10")                                   \
        DOTS("r0", "r2", "r4", "r6")                                                      \
        DOTS("r8", "r10", "r12", "lr")                                                    \
        TO_VECTOR("q4", "r0", "r2", "r4", "r6")                                           \
        "ldm r1!, {r0, r2, r4, r5, r6, r7} \n"                                            \
        SCALE("q4", SPARE, "q5", "t", "r0", "r2", "r4")                                   \
        TO_VECTOR("q4", "r8", "r10", "r12", "lr")                                         \
        SCALE("q4", SPARE, "q6", "t", "r5", "r6", "r7")                                   \
        RESTORE                                                                           \
        NARROW                                                                            \
        "vstrw.32 q5, [q7, #4]! \n"                                                       \
        "subs r11, r11, #1 \n"                                                            \
        "bne 20b \n"                                                                      \
        "ldrd r0, r2, [r9, %[output_step]] \n"                                            \
        "vadd.i32 q7, q7, r0 \n"                                                          \
        "subs r2, r2, #1 \n"                                                              \
        "str r2, [r9, %[blocks]] \n"                                                      \
        "bne 10b \n"                                                                      \
        "pop {r7} \n"                                                                     \
        : "+r"(r9)                                                                        \
        : FIELD(addresses), FIELD(pixels), FIELD(saved), FIELD(blocks),                   \
          FIELD(output_step), FIELD(bias_factors)                                         \
        : TRECX_MVE_CLOBBERS);                                                            \
  }

/* Correcting ties takes one vector more than there are: the fourth pixel gives way. */
PRODUCT(multiply, "", LOAD_WHOLE, SCALE_TIES, "q3", "vstrw.32 q3, [r9, %[saved]] \n",
        "vldrw.u32 q3, [r9, %[saved]] \n", NARROW)
PRODUCT(multiply_relu, "", LOAD_WHOLE, SCALE, "", "", "", NARROW_UNSIGNED)
PRODUCT(multiply_biased_relu, SET_FREE_HALVES, LOAD_HALF, SCALE_BIASED, "", "", "",
        NARROW_UNSIGNED)

/* clang-format on */

/* `blocks` times four pixels, `step` bytes apart; `channels` is the distance of output pixels. */
static void run_blocks(product *work, const int8_t *pixels, int32_t step, int32_t blocks,
                       int8_t *output, int32_t channels, void (*multiply_blocks)(product *)) {
  work->pixels = pixels;
  work->pixel_step = step;
  work->blocks = blocks;
  work->output_step = 4 * channels - 4 * work->quads;
  for (int32_t i = 0; i < 4; i++) {
    work->addresses[i] = (uint32_t)(uintptr_t)(output + i * channels) - 4u;
  }
  multiply_blocks(work);
}

/* load_bytes: what is read of each pixel. */
TRECX_MVE_FRAME void conv2d_narrow(const trecx_conv2d_s8_mve_narrow_params *p, const int8_t *input,
                                   int8_t *output, void *scratch, int32_t load_bytes,
                                   void (*multiply_blocks)(product *)) {
  static const uint32_t bias_factors[2] = BIAS_FACTORS;
  const int32_t step = p->pixel_step, channels = p->output_channels;
  const int32_t padded_channels = trecx_mve_round_up(channels, 4);
  product *work = scratch;
  int8_t *copies = (int8_t *)(work + 1); /* four pixels of 16 bytes */
  int8_t *tile = copies + 64;
  int8_t *out = output;

  work->packed = p->packed;
  work->zero_point = p->output_zero_point;
  work->quads = padded_channels / 4;
  memcpy(work->bias_factors, bias_factors, sizeof bias_factors);
  for (int32_t row = 0; row < p->rows; row++) {
    const int8_t *pixels = input + row * p->row_step;
    /* How many pixels can be loaded without leaving the input. */
    const int32_t bytes = (p->rows - 1 - row) * p->row_step + p->last_row_bytes;
    int32_t whole = bytes < load_bytes ? 0 : (bytes - load_bytes) / step + 1;
    if (whole > p->row_pixels) whole = p->row_pixels;
    const int32_t direct = padded_channels == channels ? whole / 4 : 0;
    if (direct > 0) run_blocks(work, pixels, step, direct, out, channels, multiply_blocks);
    for (int32_t i = 4 * direct; i < p->row_pixels; i += 4) {
      const int32_t count = p->row_pixels - i < 4 ? p->row_pixels - i : 4;
      for (int32_t k = 0; k < count; k++) {
        memcpy(copies + 16 * k, pixels + (i + k) * step, (size_t)p->input_channels);
      }
      run_blocks(work, copies, 16, 1, tile, padded_channels, multiply_blocks);
      for (int32_t k = 0; k < count; k++) {
        memcpy(out + (i + k) * channels, tile + k * padded_channels, (size_t)channels);
      }
    }
    out += p->row_pixels * channels;
  }
  trecx_mve_clamp(output, (int32_t)(out - output), p->activation_min, p->activation_max);
}

void trecx_conv2d_s8_mve_narrow(const trecx_conv2d_s8_mve_narrow_params *params,
                                const int8_t *input, int8_t *output, void *scratch) {
  conv2d_narrow(params, input, output, scratch, 16, multiply);
}

void trecx_conv2d_s8_mve_narrow_relu(const trecx_conv2d_s8_mve_narrow_params *params,
                                     const int8_t *input, int8_t *output, void *scratch) {
  conv2d_narrow(params, input, output, scratch, 16, multiply_relu);
}

void trecx_conv2d_s8_mve_narrow_8_relu(const trecx_conv2d_s8_mve_narrow_params *params,
                                       const int8_t *input, int8_t *output, void *scratch) {
  conv2d_narrow(params, input, output, scratch, 8, multiply_biased_relu);
}
