#include "trecx/exit_logits.h"

#include "trecx/exit_policy.h"
#include "trecx/kernels/softmax_s8.h"

int trecx_exit_softmax_sum(const int8_t *logits, uint32_t units, const int32_t *exp_table,
                           const int32_t *limits, int32_t exp_count) {
  const int32_t top = trecx_argmax_s8(logits, units);
  const int32_t largest = logits[top];
  int32_t sum = 0;
  for (uint32_t i = 0; i < units; ++i) {
    const int32_t below_max = largest - logits[i];
    if (below_max < exp_count) {
      sum += trecx_softmax_s8_addend(exp_table[below_max]);
    }
  }
  return sum <= limits[top];
}

int trecx_exit_difference(const int8_t *logits, uint32_t units, int32_t low, int32_t high) {
  const int32_t difference = logits[0] - logits[1];
  (void)units; /* same leading arguments for every policy */
  return difference <= low || difference >= high;
}
