#include "trecx/kernels/softmax_s8.h"

#include "trecx/arith.h"

/* Fixed-point numbers are written Q(integer bits).(fractional bits). */
#define SUM_INTEGER_BITS 12
#define OUTPUT_BITS 8

#define Q2_48_OVER_17 1515870810
#define Q2_32_OVER_17 1010580540
#define Q2_ONE (1 << 29)

static int32_t saturating_shift_left(int32_t x, int32_t bits) {
  const int32_t limit = INT32_MAX >> bits;
  if (x > limit) return INT32_MAX;
  return x < -limit - 1 ? INT32_MIN : (int32_t)((uint32_t)x << bits);
}

/* 1 / (1 + a) for a in [0, 1), Q0.31 to Q0.31: three steps of Newton and Raphson's division, with
 * the classic first guess 48/17 - 32/17 d for 1 / d, d = (1 + a) / 2. */
static int32_t one_over_one_plus(int32_t a) {
  const int32_t d = (int32_t)(((uint32_t)a + 0x80000000u) >> 1);
  int32_t x = Q2_48_OVER_17 + trecx_rounding_doubling_high_mul(d, -Q2_32_OVER_17);
  for (int i = 0; i < 3; i++) {
    const int32_t error = Q2_ONE - trecx_rounding_doubling_high_mul(d, x);
    x += saturating_shift_left(trecx_rounding_doubling_high_mul(x, error), 2);
  }
  return saturating_shift_left(x, 1); /* half of x in Q1.30, as Q0.31 */
}

static int32_t leading_zeros(uint32_t x) {
  int32_t n = 0;
  while (!(x & 0x80000000u)) {
    x <<= 1;
    n++;
  }
  return n;
}

static int32_t exp_of(const trecx_softmax_s8_params *p, int32_t below_max) {
  return below_max < p->exp_count ? p->exp_table[below_max] : 0;
}

static void softmax_row(const trecx_softmax_s8_params *p, const int8_t *input, int8_t *output) {
  int32_t largest = INT8_MIN;
  for (int32_t i = 0; i < p->depth; i++) {
    if (input[i] > largest) largest = input[i];
  }
  int32_t sum = 0; /* Q12.19 */
  for (int32_t i = 0; i < p->depth; i++) {
    sum += trecx_softmax_s8_addend(exp_of(p, largest - input[i]));
  }
  /* sum = (1 + fraction) * 2^bits */
  const int32_t zeros = leading_zeros((uint32_t)sum);
  const int32_t fraction = (int32_t)(((uint32_t)sum << zeros) - 0x80000000u);
  const int32_t scale = one_over_one_plus(fraction);
  const int32_t exact_shift = SUM_INTEGER_BITS - zeros + 31 - OUTPUT_BITS;
  /* Beyond 31 bits every output is below half a step. */
  const int32_t shift = exact_shift > 31 ? 31 : exact_shift;
  const uint32_t half = exact_shift > 31 ? 0 : 1u << (shift - 1);
  for (int32_t i = 0; i < p->depth; i++) {
    const int32_t q = trecx_rounding_doubling_high_mul(scale, exp_of(p, largest - input[i]));
    const int32_t rounded = (int32_t)(((uint32_t)q + half) >> shift); /* q is not negative */
    output[i] = (int8_t)(rounded + INT8_MIN > INT8_MAX ? INT8_MAX : rounded + INT8_MIN);
  }
}

void trecx_softmax_s8(const trecx_softmax_s8_params *params, const int8_t *input, int8_t *output,
                      void *scratch) {
  (void)scratch;
  for (int32_t row = 0; row < params->rows; row++) {
    softmax_row(params, input, output);
    input += params->depth;
    output += params->depth;
  }
}
