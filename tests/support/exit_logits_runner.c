/* The decisions of trecx/exit_logits.h on many logits vectors, and a proof that they rest on. */
#include "../../deploy/kernels/ref/softmax_s8.c"
#include "trecx/exit_logits.h"

void softmax_sum_stops(const int8_t *logits, uint32_t count, uint32_t units,
                       const int32_t *exp_table, const int32_t *limits, int32_t exp_count,
                       uint8_t *stops) {
  for (uint32_t i = 0; i < count; i++, logits += units) {
    stops[i] = (uint8_t)trecx_exit_softmax_sum(logits, units, exp_table, limits, exp_count);
  }
}

void difference_stops(const int8_t *logits, uint32_t count, int32_t low, int32_t high,
                      uint8_t *stops) {
  for (uint32_t i = 0; i < count; i++, logits += 2) {
    stops[i] = (uint8_t)trecx_exit_difference(logits, 2, low, high);
  }
}

/* The first sum of exponentials, of those from 1.0 to `last` (Q12.19), with which the softmax's
 * scale is larger than with the sum before it; 0 when there is none. Where the sum's leading bit
 * moves up, the scale starts again from 1.0 and is shifted by one more: it must have stayed at 0.5
 * or above. */
uint32_t first_rising_scale(uint32_t last) {
  int32_t before = INT32_MAX;
  for (uint32_t sum = 1u << 19; sum <= last; sum++) {
    const int32_t zeros = leading_zeros(sum);
    const int32_t scale = one_over_one_plus((int32_t)((sum << zeros) - 0x80000000u));
    const int new_bit = (sum & (sum - 1)) == 0;
    if (new_bit ? before < 1 << 30 : scale > before) return sum;
    before = scale;
  }
  return 0;
}
