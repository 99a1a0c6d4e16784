/* Strided copy: what CONCATENATION, SLICE, STRIDED_SLICE and PAD do with each input. */
#ifndef TRECX_KERNELS_COPY_S8_H
#define TRECX_KERNELS_COPY_S8_H

#include <stdint.h>

/* Value (i, j, k, l), for i < dims[0] and so on, goes from
 *   input_offset + i * input_stride[0] + j * input_stride[1] + k * input_stride[2] + l * ...
 * to the same with output_offset and output_stride. Offsets and strides are in values; strides may
 * be negative. Other values of the output stay as they are. */
typedef struct {
  int32_t dims[4];
  int32_t input_offset, input_stride[4];
  int32_t output_offset, output_stride[4];
} trecx_copy_s8_params;

/* input and output must not overlap. scratch: not used, may be NULL. */
void trecx_copy_s8(const trecx_copy_s8_params *params, const int8_t *input, int8_t *output,
                   void *scratch);

#endif
