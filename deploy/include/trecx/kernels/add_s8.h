/* ADD of two int8 tensors of the same shape. */
#ifndef TRECX_KERNELS_ADD_S8_H
#define TRECX_KERNELS_ADD_S8_H

#include <stdint.h>

/* How two values are added: each is centred, shifted left by 20, rescaled; the sum is rescaled to
 * the output. Multipliers and shifts as in trecx/arith.h, shifts at most 0.
 * inputN_offset: minus the zero point, -127 to 128.
 * activation_min <= activation_max, both from -128 to 127. */
typedef struct {
  int32_t input1_offset, input1_multiplier, input1_shift;
  int32_t input2_offset, input2_multiplier, input2_shift;
  int32_t output_offset, output_multiplier, output_shift;
  int32_t activation_min, activation_max;
} trecx_add_s8_scaling;

typedef struct {
  int32_t count; /* values in each tensor */
  trecx_add_s8_scaling scaling;
} trecx_add_s8_params;

/* output may be either input. scratch: not used, may be NULL. */
void trecx_add_s8(const trecx_add_s8_params *params, const int8_t *input1, const int8_t *input2,
                  int8_t *output, void *scratch);

/* The sum of two values. */
int8_t trecx_add_s8_value(const trecx_add_s8_scaling *scaling, int8_t a, int8_t b);

#endif
