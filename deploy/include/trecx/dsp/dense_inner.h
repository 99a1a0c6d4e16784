/* The inner loop of dsp/fully_connected_s8_bytepair.c: assembly, or plain C where there is no DSP
 * extension. */
#ifndef TRECX_DSP_DENSE_INNER_H
#define TRECX_DSP_DENSE_INNER_H

#include "trecx/dsp/arith.h"

/* Three pairs of filters and `groups` (at least 1) groups of four inputs; sums are added to s and
 * a, the weights pointer moves on. The assembly relies on the order of the fields. */
typedef struct {
  int32_t sums[6]; /* S and A of each pair */
  const int8_t *input;
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

static __attribute__((naked, noinline)) void trecx_dense_three_pairs(
    trecx_dense_run *run __attribute__((unused))) {
  __asm__ volatile(
      "push {r0, r4-r11, lr}\n\t"
      "ldm r0, {r1-r9}\n\t"
      "tst r9, #1\n\t"
      "bne 2f\n"
      "1:\n\t" DENSE_GROUP
      "2:\n\t" DENSE_GROUP
      "subs r9, r9, #2\n\t"
      "bgt 1b\n\t"
      "pop {r0}\n\t"
      "stm r0, {r1-r8}\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* clang-format on */

#else

static inline void trecx_dense_three_pairs(trecx_dense_run *run) {
  for (int32_t g = 0; g < run->groups; g++) {
    const uint32_t bytes = trecx_load32(run->input);
    const uint32_t x[2] = {trecx_lanes_02(bytes), trecx_lanes_13(bytes)};
    for (int32_t k = 0; k < 2; k++) {
      for (int32_t pair = 0; pair < 3; pair++) {
        const uint32_t w = *run->weights++;
        int32_t *const s = &run->sums[2 * pair], *const a = s + 1;
        *s = trecx_smlad(w, x[k], *s);
        *a = trecx_smlad(trecx_lanes_02(w), x[k], *a);
      }
    }
    run->input += 4;
  }
}

#endif

/* The same for a single pair. */
static inline void trecx_dense_one_pair(trecx_dense_run *run) {
  int32_t s = run->sums[0], a = run->sums[1];
  const uint32_t *w = run->weights;
  const int8_t *x = run->input;
  for (int32_t left = run->groups; left > 0; left--, x += 4, w += 2) {
    const uint32_t bytes = trecx_load32(x);
    const uint32_t even = trecx_lanes_02(bytes), odd = trecx_lanes_13(bytes);
    s = trecx_smlad(w[1], odd, trecx_smlad(w[0], even, s));
    a = trecx_smlad(trecx_lanes_02(w[1]), odd, trecx_smlad(trecx_lanes_02(w[0]), even, a));
  }
  run->sums[0] = s;
  run->sums[1] = a;
  run->weights = w;
}

#endif
