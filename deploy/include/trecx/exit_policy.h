/* Exit decisions: integer look-ups and comparisons on the int8 output of an early exit.
 *
 * q: `units` int8 values, the output of the exit. Every trecx_exit_* function returns 1 to stop
 * at the exit and 0 to go on to the next segment. No function keeps state or writes memory. */
#ifndef TRECX_EXIT_POLICY_H
#define TRECX_EXIT_POLICY_H

#include <stdint.h>

/* Index of the largest of n >= 1 values; the first one when several are equal. */
int32_t trecx_argmax_s8(const int8_t *q, uint32_t n);

/* Stop when the largest value reaches the threshold of its class (first maximum).
 * thresholds: `units` values from -128 to 128; 128 is never reached. units >= 1. */
int trecx_exit_top_class(const int8_t *q, uint32_t units, const int16_t *thresholds);

/* Stop when the sum of table[q[i] + 128] is at most `limit`.
 * table: 256 non-negative values; units times the largest of them must fit int32. */
int trecx_exit_table_sum(const int8_t *q, uint32_t units, const int32_t *table, int32_t limit);

/* Stop when the largest value exceeds the second largest by at least `limit` (0 to 256).
 * units >= 2; two equal largest values have the margin 0. */
int trecx_exit_margin(const int8_t *q, uint32_t units, int32_t limit);

/* Stop when the confidence q[unit] is at least `limit` (-128 to 128). unit < units. */
int trecx_exit_confidence(const int8_t *q, uint32_t units, int32_t unit, int32_t limit);

#endif
