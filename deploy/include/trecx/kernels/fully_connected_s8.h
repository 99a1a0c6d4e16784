/* FULLY_CONNECTED, int8. */
#ifndef TRECX_KERNELS_FULLY_CONNECTED_S8_H
#define TRECX_KERNELS_FULLY_CONNECTED_S8_H

#include <stdint.h>

/* Layouts, last index fastest:
 *   input   [rows][inputs]
 *   weights [units][inputs]
 *   output  [rows][units]
 *
 * bias: one a unit, with the input's zero point folded in: bias - zero_point * sum of the unit's
 * weights, modulo 2^32. multiplier, shift: requantisation of each unit (trecx/arith.h).
 * activation_min <= activation_max, both from -128 to 127.
 * 128 times the sum of |weights| of one unit must be below 2^31. */
typedef struct {
  int32_t rows, inputs, units;
  int32_t output_offset;
  int32_t activation_min, activation_max;
  const int8_t *weights;
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift;
} trecx_fully_connected_s8_params;

/* scratch: not used, may be NULL. */
void trecx_fully_connected_s8(const trecx_fully_connected_s8_params *params, const int8_t *input,
                              int8_t *output, void *scratch);

#endif
