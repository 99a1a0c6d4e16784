/* The requantisation of trecx/dsp/arith.h as text, for accumulators in r0 to r3: of two filters
 * (first: r0 r1) and two pixels. Fast form: the second shift is 12. */
#ifndef TRECX_DSP_REQUANTIZE_ASM_H
#define TRECX_DSP_REQUANTIZE_ASM_H

/* clang-format off */

#define REQUANTIZE_FAST(X, MULTIPLIER, OFFSET)            \
  "smmla " X ", " X ", " MULTIPLIER ", " OFFSET "\n\t"

#define REQUANTIZE_SATURATE_BY(X, SHIFT) "ssat " X ", #8, " X ", asr #" SHIFT "\n\t"
#define REQUANTIZE_SATURATE(X) REQUANTIZE_SATURATE_BY(X, "12")

/* r4 r5, r6 r7: multiplier and offset of the filters. SHIFT: the second one. */
#define REQUANTIZE_FAST_2X2_BY(SHIFT)                                           \
  REQUANTIZE_FAST("r0", "r4", "r5") REQUANTIZE_FAST("r1", "r4", "r5")           \
  REQUANTIZE_FAST("r2", "r6", "r7") REQUANTIZE_FAST("r3", "r6", "r7")           \
  REQUANTIZE_SATURATE_BY("r0", SHIFT) REQUANTIZE_SATURATE_BY("r1", SHIFT)       \
  REQUANTIZE_SATURATE_BY("r2", SHIFT) REQUANTIZE_SATURATE_BY("r3", SHIFT)

#define REQUANTIZE_FAST_2X2 REQUANTIZE_FAST_2X2_BY("12")

/* X: twice the accumulator. r10 is overwritten. */
#define REQUANTIZE_GENERAL(X, MULTIPLIER, OFFSET, SHIFT)  \
  "add r10, " OFFSET ", " X ", asr #31\n\t"               \
  "smmlar " X ", " X ", " MULTIPLIER ", r10\n\t"          \
  "asr " X ", " X ", " SHIFT "\n\t"                       \
  "ssat " X ", #8, " X ", asr #1\n\t"

/* r4 r5 r6, r7 r11 r12: multiplier, offset and shift of the filters. */
#define REQUANTIZE_GENERAL_2X2                                                                  \
  REQUANTIZE_GENERAL("r0", "r4", "r5", "r6") REQUANTIZE_GENERAL("r1", "r4", "r5", "r6")         \
  REQUANTIZE_GENERAL("r2", "r7", "r11", "r12") REQUANTIZE_GENERAL("r3", "r7", "r11", "r12")

/* clang-format on */

#endif
