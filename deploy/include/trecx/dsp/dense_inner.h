/* The inner loop of dsp/fully_connected_s8_bytepair.c: assembly, or plain C where there is no DSP
 * extension. */
#ifndef TRECX_DSP_DENSE_INNER_H
#define TRECX_DSP_DENSE_INNER_H

#include "trecx/dsp/arith.h"

/* Three pairs of filters and `groups` (at least 1) groups of four inputs, which are bytes or, for
 * the widened loop, two words of lanes. The sums grow, both pointers move on. The assembly relies
 * on the order of the fields. */
typedef struct {
  int32_t sums[6]; /* S and A of each pair */
  const void *input;
  const uint32_t *weights;
  int32_t groups;
} trecx_dense_run;

#if defined(__ARM_FEATURE_DSP)

/* clang-format off */

/* Registers: r1 to r6 the sums, r7 inputs, r8 weights, r9 groups left, r0 and lr lanes of inputs,
 * r10 r11 r12 weights of the pairs. */

#define DENSE_INPUTS(X)               \
  "ldm.w r8!, {r10, r11, r12}\n\t"    \
  "smlad r1, r10, " X ", r1\n\t"      \
  "smlad r3, r11, " X ", r3\n\t"      \
  "smlad r5, r12, " X ", r5\n\t"      \
  "sxtb16 r10, r10\n\t"               \
  "sxtb16 r11, r11\n\t"               \
  "sxtb16 r12, r12\n\t"               \
  "smlad r2, r10, " X ", r2\n\t"      \
  "smlad r4, r11, " X ", r4\n\t"      \
  "smlad r6, r12, " X ", r6\n\t"

#define DENSE_GROUP                   \
  "ldr lr, [r7], #4\n\t"              \
  "sxtb16 r0, lr\n\t"                 \
  "sxtb16 lr, lr, ror #8\n\t"         \
  DENSE_INPUTS("r0") DENSE_INPUTS("lr")

#define DENSE_WIDENED_GROUP           \
  "ldm.w r7!, {r0, lr}\n\t"           \
  DENSE_INPUTS("r0") DENSE_INPUTS("lr")

#define DENSE_BEGIN                   \
  "push {r0, r4-r11, lr}\n\t"         \
  "ldm r0, {r1-r9}\n\t"

#define DENSE_END                     \
  "pop {r0}\n\t"                      \
  "stm r0, {r1-r8}\n\t"               \
  "pop {r4-r11, pc}\n\t"

/* Two groups a turn; an odd number begins in the middle. */
static __attribute__((naked, noinline)) void trecx_dense_bytes(
    trecx_dense_run *run __attribute__((unused))) {
  __asm__ volatile(
      DENSE_BEGIN
      "tst r9, #1\n\t"
      "bne 2f\n"
      "1:\n\t" DENSE_GROUP
      "2:\n\t" DENSE_GROUP
      "subs r9, r9, #2\n\t"
      "bgt 1b\n\t"
      DENSE_END);
}

/* Four groups a turn; entering at the group that makes the rest a multiple of four. */
static __attribute__((naked, noinline)) void trecx_dense_widened(
    trecx_dense_run *run __attribute__((unused))) {
  __asm__ volatile(
      DENSE_BEGIN
      "rsb r0, r9, #0\n\t"
      "and r0, r0, #3\n\t"
      "tbb [pc, r0]\n"
      "2:\n\t"
      ".byte (3f - 2b) / 2, (4f - 2b) / 2, (5f - 2b) / 2, (6f - 2b) / 2\n"
      "3:\n\t" DENSE_WIDENED_GROUP
      "4:\n\t" DENSE_WIDENED_GROUP
      "5:\n\t" DENSE_WIDENED_GROUP
      "6:\n\t" DENSE_WIDENED_GROUP
      "subs r9, r9, #4\n\t"
      "bgt 3b\n\t"
      DENSE_END);
}

/* clang-format on */

#else

static inline void trecx_dense_lanes(trecx_dense_run *run, uint32_t x) {
  for (int32_t pair = 0; pair < 3; pair++) {
    const uint32_t w = *run->weights++;
    int32_t *const s = &run->sums[2 * pair], *const a = s + 1;
    *s = trecx_smlad(w, x, *s);
    *a = trecx_smlad(trecx_lanes_02(w), x, *a);
  }
}

static inline void trecx_dense_bytes(trecx_dense_run *run) {
  const int8_t *input = run->input;
  for (int32_t g = 0; g < run->groups; g++, input += 4) {
    trecx_dense_lanes(run, trecx_lanes_02(trecx_load32(input)));
    trecx_dense_lanes(run, trecx_lanes_13(trecx_load32(input)));
  }
  run->input = input;
}

static inline void trecx_dense_widened(trecx_dense_run *run) {
  const uint32_t *input = run->input;
  for (int32_t k = 0; k < 2 * run->groups; k++) trecx_dense_lanes(run, *input++);
  run->input = input;
}

#endif

/* A single pair: the first two sums. The input is bytes. */
static inline void trecx_dense_pair(trecx_dense_run *run) {
  const int8_t *input = run->input;
  const uint32_t *w = run->weights;
  int32_t s = run->sums[0], a = run->sums[1];
  for (int32_t left = run->groups; left > 0; left--, input += 4, w += 2) {
    const uint32_t bytes = trecx_load32(input);
    const uint32_t even = trecx_lanes_02(bytes), odd = trecx_lanes_13(bytes);
    s = trecx_smlad(w[1], odd, trecx_smlad(w[0], even, s));
    a = trecx_smlad(trecx_lanes_02(w[1]), odd, trecx_smlad(trecx_lanes_02(w[0]), even, a));
  }
  run->sums[0] = s;
  run->sums[1] = a;
  run->weights = w;
}

#endif
