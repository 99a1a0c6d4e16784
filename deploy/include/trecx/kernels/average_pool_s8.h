/* AVERAGE_POOL_2D, int8. Input and output have the same quantisation. */
#ifndef TRECX_KERNELS_AVERAGE_POOL_S8_H
#define TRECX_KERNELS_AVERAGE_POOL_S8_H

#include <stdint.h>

/* Layouts, last index fastest: input [input_height][input_width][channels],
 * output [output_height][output_width][channels].
 *
 * Positions in the padding do not take part; every window must hold at least one input position.
 * activation_min <= activation_max, both from -128 to 127. */
typedef struct {
  int32_t input_height, input_width, channels;
  int32_t output_height, output_width;
  int32_t filter_height, filter_width;
  int32_t stride_height, stride_width;
  int32_t pad_top, pad_left;
  int32_t activation_min, activation_max;
} trecx_average_pool_s8_params;

/* scratch: not used, may be NULL. */
void trecx_average_pool_s8(const trecx_average_pool_s8_params *params, const int8_t *input,
                           int8_t *output, void *scratch);

#endif
