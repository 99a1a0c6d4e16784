/* What the Helium (Armv8.1-M MVE, integer) kernels share: bulk moves, and the requantisation of a
 * block of accumulators as assembly text.
 *
 * Requantisation of an accumulator a, exactly TensorFlow Lite Micro's (trecx/arith.h), for right
 * shifts from 1 to 31:
 * - VQRDMULH, x = the high half of 2 * a * multiplier, rounded. (gemmlowp's form, with two nudges
 *   and a truncating division, equals floor((a * multiplier + 2^30) / 2^31) for either sign.)
 * - VRSHL, x / 2^shift, rounded, ties towards plus infinity. TFLM takes ties away from zero: of a
 *   negative x, one less has to go in. VQRDMLAH adds the product to its destination, so presetting
 *   that to a >> 31 is all it takes. If the product rounds to 0 although a < 0, -1 goes in and
 *   (-1 + 2^(shift - 1)) >> shift = 0 comes out, as it should.
 * - VQMOVN twice, with the output's zero point added in between (VQADD, 16 bits): saturation every
 *   time, together a clamp to [-128, 127].
 *
 * The correction of ties is left out where activation_min >= the output's zero point: there every
 * negative x gives activation_min, corrected or not. Other clamps than [-128, 127] are applied to
 * the finished output by trecx_mve_clamp. */
#ifndef TRECX_MVE_ARITH_H
#define TRECX_MVE_ARITH_H

#include <arm_mve.h>
#include <stdint.h>

/* clang-format off */

/* The 4 x 2 block: four pixels (or rows) times two filters. Accumulators of the first filter in r0,
 * r2, r4, r6, of the second in r8, r10, r12, lr (VMLADAV writes even registers only). After this
 * lane p of a and of b is pixel p. */
#define TRECX_MVE_TO_VECTORS(a, b)            \
  "vmov " a "[2], " a "[0], r0, r4 \n"        \
  "vmov " a "[3], " a "[1], r2, r6 \n"        \
  "vmov " b "[2], " b "[0], r8, r12 \n"       \
  "vmov " b "[3], " b "[1], r10, lr \n"

/* a, b: accumulators; r0, r2, r4: bias, multiplier and minus the right shift of the first filter;
 * r6, r8, r10: of the second. Leaves int16 values in a, first filter in even lanes. */
#define TRECX_MVE_SCALE(a, b)            \
  "vadd.i32 " a ", " a ", r0 \n"         \
  "vadd.i32 " b ", " b ", r6 \n"         \
  "vqrdmulh.s32 " a ", " a ", r2 \n"     \
  "vqrdmulh.s32 " b ", " b ", r8 \n"     \
  "vrshl.s32 " a ", r4 \n"               \
  "vrshl.s32 " b ", r10 \n"              \
  "vqmovnb.s32 " a ", " a " \n"          \
  "vqmovnt.s32 " a ", " b " \n"

/* The same with ties of negative values corrected. */
#define TRECX_MVE_SCALE_TIES(a, b, temporary)         \
  "vadd.i32 " a ", " a ", r0 \n"                      \
  "vadd.i32 " b ", " b ", r6 \n"                      \
  "vshr.s32 " temporary ", " a ", #31 \n"             \
  "vqrdmlah.s32 " temporary ", " a ", r2 \n"          \
  "vshr.s32 " a ", " b ", #31 \n"                     \
  "vqrdmlah.s32 " a ", " b ", r8 \n"                  \
  "vrshl.s32 " temporary ", r4 \n"                    \
  "vrshl.s32 " a ", r10 \n"                           \
  "vqmovnt.s32 " a ", " a " \n"                       \
  "vqmovnb.s32 " a ", " temporary " \n"

#define TRECX_MVE_BLOCK_TO_VECTORS TRECX_MVE_TO_VECTORS("q4", "q5")
#define TRECX_MVE_BLOCK_SCALE TRECX_MVE_SCALE("q4", "q5")
#define TRECX_MVE_BLOCK_SCALE_TIES TRECX_MVE_SCALE_TIES("q4", "q5", "q6")

/* clang-format on */

/* Registers that the assembly blocks change. r7 is saved by the blocks themselves: it is the frame
 * pointer of unoptimised code and cannot be declared. */
#define TRECX_MVE_CLOBBERS                                                                     \
  "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r10", "r11", "r12", "lr", "q0", "q1", "q2", \
      "q3", "q4", "q5", "q6", "q7", "cc", "memory"

/* For what runs around the assembly loops: it takes little time, so "cold", small code. */
#define TRECX_MVE_FRAME static __attribute__((noinline, cold))

static inline int32_t trecx_mve_round_up(int32_t value, int32_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/* memcpy of any length and alignment; also downwards, to a destination below an overlapping source.
 * In assembly, like the two below: gcc 12 has no tail-predicated loops. */
static inline void trecx_mve_copy(int8_t *destination, const int8_t *source, int32_t bytes) {
  __asm__ volatile(
      "wlstp.8 lr, %[bytes], 2f \n"
      "1: vldrb.u8 q0, [%[source]], #16 \n"
      "vstrb.8 q0, [%[destination]], #16 \n"
      "letp lr, 1b \n"
      "2: \n"
      : [destination] "+r"(destination), [source] "+r"(source)
      : [bytes] "r"(bytes)
      : "lr", "q0", "memory");
}

/* memset of any length and alignment. */
static inline void trecx_mve_fill(int8_t *destination, int32_t value, int32_t bytes) {
  __asm__ volatile(
      "vdup.8 q0, %[value] \n"
      "wlstp.8 lr, %[bytes], 2f \n"
      "1: vstrb.8 q0, [%[destination]], #16 \n"
      "letp lr, 1b \n"
      "2: \n"
      : [destination] "+r"(destination)
      : [value] "r"(value), [bytes] "r"(bytes)
      : "lr", "q0", "memory");
}

/* Limits finished outputs to [low, high]; nothing to do for the whole int8 range. */
static inline void trecx_mve_clamp(int8_t *output, int32_t count, int32_t low, int32_t high) {
  if (low == INT8_MIN && high == INT8_MAX) return;
  __asm__ volatile(
      "vdup.8 q1, %[low] \n"
      "vdup.8 q2, %[high] \n"
      "wlstp.8 lr, %[count], 2f \n"
      "1: vldrb.u8 q0, [%[output]] \n"
      "vmax.s8 q0, q0, q1 \n"
      "vmin.s8 q0, q0, q2 \n"
      "vstrb.8 q0, [%[output]], #16 \n"
      "letp lr, 1b \n"
      "2: \n"
      : [output] "+r"(output)
      : [low] "r"(low), [high] "r"(high), [count] "r"(count)
      : "lr", "q0", "q1", "q2", "memory");
}

/* Copies `count` vectors of 16 bytes, one every `step` bytes, to one behind the other. */
static inline void trecx_mve_copy_vectors(int8_t *to, const int8_t *from, int32_t step,
                                          int32_t count) {
  __asm__ volatile(
      "wls lr, %[count], 2f \n"
      "1: vldrb.u8 q0, [%[from]] \n"
      "add %[from], %[from], %[step] \n"
      "vstrb.8 q0, [%[to]], #16 \n"
      "le lr, 1b \n"
      "2: \n"
      : [to] "+r"(to), [from] "+r"(from)
      : [step] "r"(step), [count] "r"(count)
      : "lr", "q0", "memory");
}

/* Places of the eight outputs of a 4 x 2 block in channels-last memory, pixel by pixel, the two
 * filters in turn. */
static inline void trecx_mve_block_offsets(uint16_t offsets[8], int32_t channels) {
  for (int32_t pixel = 0; pixel < 4; pixel++) {
    offsets[2 * pixel] = (uint16_t)(pixel * channels);
    offsets[2 * pixel + 1] = (uint16_t)(pixel * channels + 1);
  }
}

#endif
