/* ADD of two int8 tensors of the same shape, for the DSP extension. */
#ifndef TRECX_KERNELS_ADD_S8_DSP_H
#define TRECX_KERNELS_ADD_S8_DSP_H

#include <stdint.h>

#include "trecx/dsp/arith.h"

/* The input with the larger scale has a multiplier of exactly one half: it is `half`, the other one
 * is `scaled` and goes through a table of 256 words that is made in the scratch memory.
 *
 * count: values in each tensor.
 * half_input: position of the input with the multiplier one half, 0 or 1; the other's
 *   zero point, multiplier and shift (at most 0) follow.
 * output_multiplier, output_shift: requantisation of trecx/dsp/arith.h; the shift is e - 1.
 * fast_shift: E = e + 1 of its fast form, 19 or 20 (count is a multiple of 4 then), or 0 for the
 *   general one.
 * activation_min, activation_max: -128, 127 unless the activation cuts inside.
 * scratch: 1024 bytes. */
typedef struct {
  int32_t count;
  int32_t scaled_multiplier;
  int32_t scaled_shift;
  int32_t output_multiplier;
  int16_t half_input;
  int16_t half_zero_point, scaled_zero_point, output_zero_point;
  int16_t output_shift, fast_shift;
  int16_t activation_min, activation_max;
} trecx_add_s8_table_params;

/* output may be either input. */
void trecx_add_s8_table(const trecx_add_s8_table_params *params, const int8_t *input1,
                        const int8_t *input2, int8_t *output, void *scratch);

#endif
