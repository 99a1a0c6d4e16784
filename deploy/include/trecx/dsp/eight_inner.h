/* The inner loop of dsp/conv2d_1x1_s8_eight.c: assembly, or plain C where there is no DSP
 * extension.
 */
#ifndef TRECX_DSP_EIGHT_INNER_H
#define TRECX_DSP_EIGHT_INNER_H

#include "trecx/dsp/arith.h"

/* The second shift of the fast requantisation. */
#define TRECX_EIGHT_FAST_SHIFT 12

/* A filter of eight weights, ready for use: bias and weights shifted left by d + 1.
 * weights: lanes (0, 2), (1, 3), (4, 6), (5, 7). */
typedef struct {
  int32_t bias;
  uint32_t weights[4];
  int32_t multiplier, offset;
} trecx_eight_entry;

/* All pixels, two at a time. The assembly relies on the order of the fields.
 * channels: bytes from an output pixel to the next; entries to end: one for each, an even number.
 */
typedef struct {
  int32_t channels;
  const trecx_eight_entry *end, *entries;
  const int8_t *input;
  int32_t pixel_pairs;
  int8_t *output;
} trecx_eight_run;

#if defined(__ARM_FEATURE_DSP)

/* clang-format off */

/* Registers: r0 r1 sums of the two pixels, r2 r3 weights, r4 to r7 and r8 to r11 inputs of the
 * pixels, r12 entries, lr output. */

#define EIGHT_FILTER                \
  "ldm.w r12!, {r1, r2, r3}\n\t"    \
  "smlad r0, r2, r4, r1\n\t"        \
  "smlad r1, r2, r8, r1\n\t"        \
  "smlad r0, r3, r5, r0\n\t"        \
  "smlad r1, r3, r9, r1\n\t"        \
  "ldm.w r12!, {r2, r3}\n\t"        \
  "smlad r0, r2, r6, r0\n\t"        \
  "smlad r1, r2, r10, r1\n\t"       \
  "smlad r0, r3, r7, r0\n\t"        \
  "smlad r1, r3, r11, r1\n\t"       \
  "ldm.w r12!, {r2, r3}\n\t"        \
  "smmla r0, r0, r2, r3\n\t"        \
  "smmla r1, r1, r2, r3\n\t"        \
  "ldr r2, [sp]\n\t"                \
  "ssat r0, #8, r0, asr #12\n\t"    \
  "ssat r1, #8, r1, asr #12\n\t"    \
  "strb r1, [lr, r2]\n\t"           \
  "strb r0, [lr], #1\n\t"

static __attribute__((naked, noinline)) void trecx_eight_pixel_pairs(
    const trecx_eight_run *run __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "sub sp, sp, #20\n\t"
      "ldm r0, {r1-r6}\n\t"
      "stm sp, {r1-r5}\n\t"
      "mov lr, r6\n"
      "1:\n\t"
      "ldr r2, [sp, #12]\n\t"
      "ldr r4, [r2]\n\t"
      "ldr r6, [r2, #4]\n\t"
      "ldr r8, [r2, #8]\n\t"
      "ldr r10, [r2, #12]\n\t"
      "adds r2, r2, #16\n\t"
      "str r2, [sp, #12]\n\t"
      "sxtb16 r5, r4, ror #8\n\t"
      "sxtb16 r4, r4\n\t"
      "sxtb16 r7, r6, ror #8\n\t"
      "sxtb16 r6, r6\n\t"
      "sxtb16 r9, r8, ror #8\n\t"
      "sxtb16 r8, r8\n\t"
      "sxtb16 r11, r10, ror #8\n\t"
      "sxtb16 r10, r10\n\t"
      "ldr r12, [sp, #8]\n"
      "2:\n\t" EIGHT_FILTER EIGHT_FILTER
      "ldr r3, [sp, #4]\n\t"
      "cmp r12, r3\n\t"
      "bne 2b\n\t"
      "ldr r3, [sp, #16]\n\t"
      "add lr, lr, r2\n\t"
      "subs r3, r3, #1\n\t"
      "str r3, [sp, #16]\n\t"
      "bne 1b\n\t"
      "add sp, sp, #20\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* clang-format on */

#else

static inline int8_t trecx_eight_pixel(const trecx_eight_entry *e, const int8_t *input) {
  const uint32_t first = trecx_load32(input), second = trecx_load32(input + 4);
  int32_t sum = trecx_smlad(e->weights[0], trecx_lanes_02(first), e->bias);
  sum = trecx_smlad(e->weights[1], trecx_lanes_13(first), sum);
  sum = trecx_smlad(e->weights[2], trecx_lanes_02(second), sum);
  sum = trecx_smlad(e->weights[3], trecx_lanes_13(second), sum);
  const int32_t y = trecx_smmla(sum, e->multiplier, e->offset);
  return (int8_t)trecx_half_to_s8(y >> (TRECX_EIGHT_FAST_SHIFT - 1));
}

static inline void trecx_eight_pixel_pairs(const trecx_eight_run *run) {
  const int8_t *input = run->input;
  int8_t *output = run->output;
  for (int32_t pair = 0; pair < run->pixel_pairs; pair++, input += 16) {
    int8_t pixels[16]; /* as the assembly, all inputs are read before the first output is written */
    memcpy(pixels, input, 16);
    for (const trecx_eight_entry *e = run->entries; e != run->end; e++, output++) {
      output[run->channels] = trecx_eight_pixel(e, pixels + 8);
      output[0] = trecx_eight_pixel(e, pixels);
    }
    output += run->channels;
  }
}

#endif

#endif
