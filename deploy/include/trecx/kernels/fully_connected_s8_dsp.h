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

/* Weights of 16 bits, six units at a time; one multiplier and shift for all units.
 *
 *   input   [rows][inputs]
 *   output  [rows][units]
 *   weights words [unit / 6][input / 4][2 words of lanes: inputs (0, 2), (1, 3)][6 units]
 *
 * inputs: a multiple of 4. Units are padded to whole sixes with zero weights and biases.
 * weights, bias: shifted left as the requantisation (trecx/dsp/arith.h) wants the sum, by d + 1 in
 *   the fast form, by 1 in the general one; the input's zero point is folded into the bias.
 * fast: form; the second shift is TRECX_DENSE_WIDE_FAST_SHIFT.
 * widen: the inputs are widened once, in the scratch memory.
 * scratch: 2 * inputs bytes if widen, else not used, may be NULL. */
#define TRECX_DENSE_WIDE_FAST_SHIFT 12

typedef struct {
  const uint32_t *weights;
  const int32_t *bias;
  int32_t multiplier, offset, shift;
  int32_t rows, inputs, units;
  int16_t fast, widen;
  int16_t activation_min, activation_max;
} trecx_fully_connected_s8_wide_params;

void trecx_fully_connected_s8_wide(const trecx_fully_connected_s8_wide_params *params,
                                   const int8_t *input, int8_t *output, void *scratch);

#endif
