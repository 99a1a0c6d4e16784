/* 32-bit fixed-point arithmetic shared by the kernels: TensorFlow Lite Micro's requantisation.
 *
 * A real factor is `multiplier * 2^(shift - 31)`, multiplier in [2^30, 2^31) or 0, shift from -31
 * to 31, positive to the left. Two roundings: first the doubled high product (ties towards plus
 * infinity), then the right shift (ties away from zero).
 *
 * Sums and left shifts wrap modulo 2^32. Right shifts of negative values are assumed to be
 * arithmetic, and conversions from unsigned to signed to wrap, as on every Arm and x86 compiler. */
#ifndef TRECX_ARITH_H
#define TRECX_ARITH_H

#include <stdint.h>

/* a + b modulo 2^32. */
static inline int32_t trecx_wrapping_add(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* High 32 bits of 2ab, rounded to nearest. Not both operands may be -2^31. */
static inline int32_t trecx_rounding_doubling_high_mul(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* x / 2^exponent, rounded to nearest, ties away from zero. exponent: 0 to 31. */
static inline int32_t trecx_rounding_shift_right(int32_t x, int32_t exponent) {
  const int32_t mask = (int32_t)((1u << exponent) - 1u);
  const int32_t threshold = (mask >> 1) + (x < 0);
  return (x >> exponent) + ((x & mask) > threshold);
}

/* x * multiplier * 2^(shift - 31). */
static inline int32_t trecx_multiply_by_quantized_multiplier(int32_t x, int32_t multiplier,
                                                             int32_t shift) {
  const int32_t left = shift > 0 ? shift : 0;
  const int32_t right = shift > 0 ? 0 : -shift;
  const int32_t shifted = (int32_t)((uint32_t)x << left);
  return trecx_rounding_shift_right(trecx_rounding_doubling_high_mul(shifted, multiplier), right);
}

/* x limited to [low, high]. */
static inline int32_t trecx_clamp(int32_t x, int32_t low, int32_t high) {
  if (x < low) return low;
  return x > high ? high : x;
}

/* An accumulator to int8: scale, add the output's zero point, limit to [low, high]. */
static inline int8_t trecx_requantize(int32_t acc, int32_t multiplier, int32_t shift,
                                      int32_t zero_point, int32_t low, int32_t high) {
  const int32_t scaled = trecx_multiply_by_quantized_multiplier(acc, multiplier, shift);
  return (int8_t)trecx_clamp(trecx_wrapping_add(scaled, zero_point), low, high);
}

#endif
