#include "trecx/exit_policy.h"

int32_t trecx_argmax_s8(const int8_t *q, uint32_t n) {
  uint32_t top = 0;
  for (uint32_t i = 1; i < n; ++i) {
    if (q[i] > q[top]) {
      top = i;
    }
  }
  return (int32_t)top;
}

int trecx_exit_top_class(const int8_t *q, uint32_t units, const int16_t *thresholds) {
  const int32_t top = trecx_argmax_s8(q, units);
  return q[top] >= thresholds[top];
}

int trecx_exit_table_sum(const int8_t *q, uint32_t units, const int32_t *table, int32_t limit) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < units; ++i) {
    sum += table[q[i] + 128];
  }
  return sum <= limit;
}

int trecx_exit_margin(const int8_t *q, uint32_t units, int32_t limit) {
  int32_t first = -129; /* below every value */
  int32_t second = -129;
  for (uint32_t i = 0; i < units; ++i) {
    if (q[i] > first) {
      second = first;
      first = q[i];
    } else if (q[i] > second) {
      second = q[i];
    }
  }
  return first - second >= limit;
}

int trecx_exit_confidence(const int8_t *q, uint32_t units, int32_t unit, int32_t limit) {
  (void)units; /* same leading arguments for every policy */
  return q[unit] >= limit;
}
