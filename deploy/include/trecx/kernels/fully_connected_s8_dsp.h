/* FULLY_CONNECTED, int8, for the DSP extension. */
#ifndef TRECX_KERNELS_FULLY_CONNECTED_S8_DSP_H
#define TRECX_KERNELS_FULLY_CONNECTED_S8_DSP_H

#include <stdint.h>

#include "trecx/dsp/arith.h"

/* Units in byte pairs (see trecx/dsp/bytepair.h), three pairs at a time.
 *
 *   input   [rows][inputs]
 *   output  [rows][units]
 *   weights words of byte pairs, inputs padded with zero weights to groups of four: for every three
 *           pairs [group][2][pair], then for each pair that is left [group][2]
 *
 * Pairs are (0, 1), (2, 3), ...; with an odd number of units (0, 1), (1, 2), (3, 4), ...; the only
 * pair of a single unit is (0, 0).
 *
 * bias_shift: 32 * bias + (e - 1) for each unit, |bias| < 2^26, e from 1 to 21; multiplier: with it
 *   the general requantisation of trecx/dsp/arith.h.
 * multiplier_step: 0 when one multiplier serves all units, else 1.
 * scratch: not used, may be NULL. */
typedef struct {
  const uint32_t *weights;
  const int32_t *bias_shift;
  const int32_t *multiplier;
  int32_t rows, inputs, units;
  int16_t multiplier_step;
  int16_t output_zero_point;
  int16_t activation_min, activation_max;
} trecx_fully_connected_s8_bytepair_params;

void trecx_fully_connected_s8_bytepair(const trecx_fully_connected_s8_bytepair_params *params,
                                       const int8_t *input, int8_t *output, void *scratch);

#endif
