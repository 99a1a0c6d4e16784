/* Exit decisions on the int8 logits of an early exit, equal to those on their softmax for every
 * logits vector: what trecx_exit_* of exit_policy.h would say, before the softmax is computed.
 *
 * trecx/codegen/decision.py derives the limits and says when such a decision exists. */
#ifndef TRECX_EXIT_LOGITS_H
#define TRECX_EXIT_LOGITS_H

#include <stdint.h>

/* Stop when the softmax's sum of exponentials is at most the limit of the top class: the largest
 * probability depends on that sum alone, and falls with it.
 * exp_table, exp_count: of the softmax (trecx/kernels/softmax_s8.h). limits: `units` values in
 * Q12.19; 0 is never reached. units from 1 to 256. */
int trecx_exit_softmax_sum(const int8_t *logits, uint32_t units, const int32_t *exp_table,
                           const int32_t *limits, int32_t exp_count);

/* Of two classes: stop when logits[0] - logits[1] is at most `low` or at least `high`. units: 2. */
int trecx_exit_difference(const int8_t *logits, uint32_t units, int32_t low, int32_t high);

#endif
