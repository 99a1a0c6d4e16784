/* ADD of two tensors of the same shape on Helium, int8: bit by bit what trecx_add_s8 gives. */
#ifndef TRECX_KERNELS_ADD_S8_MVE_H
#define TRECX_KERNELS_ADD_S8_MVE_H

#include <stdint.h>

/* input1 is the one with the larger scale: TFLite's multiplier for it is exactly one half, so its
 * rescaled value is (value - zero point) * 2^19. table: 256 words, by the value of input2 as an
 * unsigned number: its rescaled value, minus input1's zero point * 2^19.
 * multiplier, shift (-31 to -1): of the output. 4-byte aligned table. */
typedef struct {
  int32_t count;
  int32_t multiplier, shift;
  int32_t output_zero_point, activation_min, activation_max;
  const int32_t *table;
} trecx_add_s8_mve_params;

/* output may be either input, or begin before it. scratch: not used, may be NULL. */
void trecx_add_s8_mve(const trecx_add_s8_mve_params *params, const int8_t *input1,
                      const int8_t *input2, int8_t *output, void *scratch);

/* The same where activation_min >= output_zero_point and shift is not below -23. */
void trecx_add_s8_mve_relu(const trecx_add_s8_mve_params *params, const int8_t *input1,
                           const int8_t *input2, int8_t *output, void *scratch);

#endif
