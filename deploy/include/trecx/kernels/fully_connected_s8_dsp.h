/* FULLY_CONNECTED, int8, for the DSP extension. */
#ifndef TRECX_KERNELS_FULLY_CONNECTED_S8_DSP_H
#define TRECX_KERNELS_FULLY_CONNECTED_S8_DSP_H

#include <stdint.h>

#include "trecx/dsp/arith.h"

/* Units in byte pairs (see trecx/dsp/bytepair.h), three pairs at a time.
 *
 *   input   [rows][inputs]
 *   output  [rows][units]
 *   weights words of byte pairs, inputs padded to whole groups of four with zero weights:
 *           [unit / 6][group][2][pair], then for each pair that is left [group][2]; an odd number
 * of units is padded with one more
 *
 * bias_shift: 32 * bias + (e - 1) for each unit, |bias| < 2^26, e from 1 to 21, and multiplier: the
 *   general requantisation of trecx/dsp/arith.h; both padded to an even number.
 * one_multiplier: one multiplier and one shift serve all units; multiplier has one element.
 * widen: the inputs are widened once, in the scratch memory; inputs must be a multiple of 4.
 * scratch: 2 * inputs bytes if widen, else not used, may be NULL. */
typedef struct {
  const uint32_t *weights;
  const int32_t *bias_shift;
  const int32_t *multiplier;
  int32_t rows, inputs, units;
  int16_t one_multiplier, widen;
  int16_t output_zero_point;
  int16_t activation_min, activation_max;
} trecx_fully_connected_s8_bytepair_params;

void trecx_fully_connected_s8_bytepair(const trecx_fully_connected_s8_bytepair_params *params,
                                       const int8_t *input, int8_t *output, void *scratch);

#endif
