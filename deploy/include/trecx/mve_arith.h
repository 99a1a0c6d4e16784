/* What the Helium (Armv8.1-M MVE, integer) kernels share: bulk moves, and the requantisation of a
 * block of accumulators as assembly text.
 *
 * Requantisation of accumulator a, exactly TensorFlow Lite Micro's (trecx/arith.h), for right
 * shifts of 1 to 31:
 *
 *   VQRDMULH  x = high half of 2 * a * multiplier, rounded: SaturatingRoundingDoublingHighMul.
 *             (gemmlowp's form with two nudges and a truncating division equals floor((a *
 *             multiplier + 2^30) / 2^31) for either sign.)
 *   VRSHL     x / 2^shift, rounded, ties towards plus infinity. RoundingDivideByPOT takes ties
 *             away from zero: for negative x, one less has to go in. VQRDMLAH adds the product to
 *             its destination, so a destination preset to a >> 31 costs one instruction. Where the
 *             product rounds to 0 although a < 0, the -1 that goes in comes out as 0: (-1 +
 * 2^(shift
 *             - 1)) >> shift = 0.
 *   VQMOVN    twice, with the output's zero point added in between (VQADD, 16 bits): saturation at
 *             each step, so together a clamp to [-128, 127].
 *
 * The correction of ties is left out where activation_min >= the output's zero point: there every
 * negative x gives activation_min, corrected or not. Other clamps than [-128, 127] are applied to
 * the finished output by trecx_mve_clamp. */
#ifndef TRECX_MVE_ARITH_H
#define TRECX_MVE_ARITH_H

#include <arm_mve.h>
#include <stdint.h>

/* The 4 x 2 block: four pixels (or rows) times two filters. Accumulators of the first filter in r0,
 * r2, r4, r6, of the second in r8, r10, r12, lr (VMLADAV writes even registers only). After this
 * lane p of q4 and of q5 is pixel p. */
#define TRECX_MVE_BLOCK_TO_VECTORS \
  "vmov q4[2], q4[0], r0, r4 \n"   \
  "vmov q4[3], q4[1], r2, r6 \n"   \
  "vmov q5[2], q5[0], r8, r12 \n"  \
  "vmov q5[3], q5[1], r10, lr \n"

/* q4, q5: accumulators; r0, r2, r4: bias, multiplier and minus the right shift of the first filter;
 * r6, r8, r10: of the second. Leaves int16 values in q4, first filter in even lanes. */
#define TRECX_MVE_BLOCK_SCALE  \
  "vadd.i32 q4, q4, r0 \n"     \
  "vadd.i32 q5, q5, r6 \n"     \
  "vqrdmulh.s32 q4, q4, r2 \n" \
  "vqrdmulh.s32 q5, q5, r8 \n" \
  "vrshl.s32 q4, r4 \n"        \
  "vrshl.s32 q5, r10 \n"       \
  "vqmovnb.s32 q4, q4 \n"      \
  "vqmovnt.s32 q4, q5 \n"

/* The same with ties of negative values corrected; changes q6 and q7. */
#define TRECX_MVE_BLOCK_SCALE_TIES \
  "vadd.i32 q4, q4, r0 \n"         \
  "vadd.i32 q5, q5, r6 \n"         \
  "vshr.s32 q6, q4, #31 \n"        \
  "vshr.s32 q7, q5, #31 \n"        \
  "vqrdmlah.s32 q6, q4, r2 \n"     \
  "vqrdmlah.s32 q7, q5, r8 \n"     \
  "vrshl.s32 q6, r4 \n"            \
  "vrshl.s32 q7, r10 \n"           \
  "vqmovnb.s32 q4, q6 \n"          \
  "vqmovnt.s32 q4, q7 \n"

/* Registers that the assembly blocks change. r7 is saved by the blocks themselves: it is the frame
 * pointer of unoptimised code and cannot be declared. */
#define TRECX_MVE_CLOBBERS                                                                     \
  "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r10", "r11", "r12", "lr", "q0", "q1", "q2", \
      "q3", "q4", "q5", "q6", "q7", "cc", "memory"

static inline int32_t trecx_mve_round_up(int32_t value, int32_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/* memcpy of any length and alignment. */
static inline void trecx_mve_copy(int8_t *destination, const int8_t *source, int32_t bytes) {
  for (; bytes > 0; bytes -= 16, source += 16, destination += 16) {
    const mve_pred16_t lanes = vctp8q((uint32_t)bytes);
    vst1q_p_s8(destination, vld1q_z_s8(source, lanes), lanes);
  }
}

/* memset of any length and alignment. */
static inline void trecx_mve_fill(int8_t *destination, int8_t value, int32_t bytes) {
  const int8x16_t values = vdupq_n_s8(value);
  for (; bytes > 0; bytes -= 16, destination += 16) {
    vst1q_p_s8(destination, values, vctp8q((uint32_t)bytes));
  }
}

/* Limits finished outputs to [low, high]; nothing to do for the whole int8 range. */
static inline void trecx_mve_clamp(int8_t *output, int32_t count, int32_t low, int32_t high) {
  const int8x16_t lows = vdupq_n_s8((int8_t)low), highs = vdupq_n_s8((int8_t)high);
  if (low == INT8_MIN && high == INT8_MAX) return;
  for (; count > 0; count -= 16, output += 16) {
    const mve_pred16_t lanes = vctp8q((uint32_t)count);
    const int8x16_t values = vld1q_z_s8(output, lanes);
    vst1q_p_s8(output, vminq_s8(vmaxq_s8(values, lows), highs), lanes);
  }
}

#endif
