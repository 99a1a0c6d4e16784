/* The inner loops of dsp/fully_connected_s8_wide.c: assembly, or plain C where there is no DSP
 * extension. */
#ifndef TRECX_DSP_DENSE_WIDE_INNER_H
#define TRECX_DSP_DENSE_WIDE_INNER_H

#include "trecx/dsp/arith.h"

#define TRECX_DENSE_WIDE_UNITS 6

/* Six units. input to end: bytes or, for the widened loop, two words of lanes for every four
 * inputs. skip: groups of four inputs left out in the first turn of a loop over eight. The assembly
 * relies on the order of the fields. */
typedef struct {
  const void *input;
  const uint32_t *weights; /* [group][2 words of lanes][6 units]; moves on */
  uint32_t skip;
  const void *end;
  const int32_t *bias; /* what the sums begin with */
  int32_t sums[TRECX_DENSE_WIDE_UNITS];
} trecx_dense_wide_run;

#if defined(__ARM_FEATURE_DSP)

/* clang-format off */

/* Registers: r1 to r6 the sums, r7 inputs, r8 weights, r0 and lr lanes of inputs, r9 to r12 weights. */

#define DENSE_WIDE_PRODUCTS         \
  "ldm.w r8!, {r9-r12}\n\t"         \
  "smlad r1, r9, r0, r1\n\t"        \
  "smlad r2, r10, r0, r2\n\t"       \
  "smlad r3, r11, r0, r3\n\t"       \
  "smlad r4, r12, r0, r4\n\t"       \
  "ldm.w r8!, {r9-r12}\n\t"         \
  "smlad r5, r9, r0, r5\n\t"        \
  "smlad r6, r10, r0, r6\n\t"       \
  "smlad r1, r11, lr, r1\n\t"       \
  "smlad r2, r12, lr, r2\n\t"       \
  "ldm.w r8!, {r9-r12}\n\t"         \
  "smlad r3, r9, lr, r3\n\t"        \
  "smlad r4, r10, lr, r4\n\t"       \
  "smlad r5, r11, lr, r5\n\t"       \
  "smlad r6, r12, lr, r6\n\t"

#define DENSE_WIDE_BYTES            \
  "ldr.w lr, [r7], #4\n\t"          \
  "sxtb16 r0, lr\n\t"               \
  "sxtb16 lr, lr, ror #8\n\t"       \
  DENSE_WIDE_PRODUCTS

#define DENSE_WIDE_WORDS            \
  "ldm.w r7!, {r0, lr}\n\t"         \
  DENSE_WIDE_PRODUCTS

/* Eight groups a turn; entering at the group that makes the rest a multiple of eight. */
#define DENSE_WIDE_LOOP(GROUP)                                                   \
  "push {r0, r4-r11, lr}\n\t"                                                    \
  "ldm r0, {r7-r11}\n\t"                                                         \
  "push {r10}\n\t"                                                               \
  "ldm r11, {r1-r6}\n\t"                                                         \
  "tbh [pc, r9, lsl #1]\n"                                                       \
  "2:\n\t"                                                                       \
  ".hword (20f - 2b) / 2, (21f - 2b) / 2, (22f - 2b) / 2, (23f - 2b) / 2\n\t"    \
  ".hword (24f - 2b) / 2, (25f - 2b) / 2, (26f - 2b) / 2, (27f - 2b) / 2\n"      \
  "20:\n\t" GROUP "21:\n\t" GROUP "22:\n\t" GROUP "23:\n\t" GROUP                \
  "24:\n\t" GROUP "25:\n\t" GROUP "26:\n\t" GROUP "27:\n\t" GROUP                \
  "ldr r9, [sp]\n\t"                                                             \
  "cmp r7, r9\n\t"                                                               \
  "bne 20b\n\t"                                                                  \
  "pop {r0, r9}\n\t"                                                             \
  "str r8, [r9, #4]\n\t"                                                         \
  "add r9, r9, #20\n\t"                                                          \
  "stm r9, {r1-r6}\n\t"                                                          \
  "pop {r4-r11, pc}\n\t"

static __attribute__((naked, noinline)) void trecx_dense_wide_bytes(
    trecx_dense_wide_run *run __attribute__((unused))) {
  __asm__ volatile(DENSE_WIDE_LOOP(DENSE_WIDE_BYTES));
}

static __attribute__((naked, noinline)) void trecx_dense_wide_words(
    trecx_dense_wide_run *run __attribute__((unused))) {
  __asm__ volatile(DENSE_WIDE_LOOP(DENSE_WIDE_WORDS));
}

/* clang-format on */

#else

static inline void trecx_dense_wide_lanes(trecx_dense_wide_run *run, uint32_t x) {
  for (int32_t unit = 0; unit < TRECX_DENSE_WIDE_UNITS; unit++) {
    run->sums[unit] = trecx_smlad(*run->weights++, x, run->sums[unit]);
  }
}

static inline void trecx_dense_wide_bytes(trecx_dense_wide_run *run) {
  memcpy(run->sums, run->bias, sizeof run->sums);
  for (const int8_t *input = run->input; input != run->end; input += 4) {
    trecx_dense_wide_lanes(run, trecx_lanes_02(trecx_load32(input)));
    trecx_dense_wide_lanes(run, trecx_lanes_13(trecx_load32(input)));
  }
}

static inline void trecx_dense_wide_words(trecx_dense_wide_run *run) {
  memcpy(run->sums, run->bias, sizeof run->sums);
  for (const uint32_t *x = run->input; x != run->end; x++) trecx_dense_wide_lanes(run, *x);
}

#endif

#endif
