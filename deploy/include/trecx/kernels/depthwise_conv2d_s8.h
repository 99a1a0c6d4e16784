/* DEPTHWISE_CONV_2D, int8. Any kernel size, stride, dilation, padding and channel multiplier. */
#ifndef TRECX_KERNELS_DEPTHWISE_CONV2D_S8_H
#define TRECX_KERNELS_DEPTHWISE_CONV2D_S8_H

#include <stdint.h>

/* Layouts, last index fastest:
 *   input   [input_height][input_width][input_channels]
 *   weights [kernel_height][kernel_width][input_channels * channel_multiplier]
 *   output  [output_height][output_width][input_channels * channel_multiplier]
 *
 * Output channel c * channel_multiplier + m reads input channel c. Taps in the padding count as
 * the input's zero point.
 *
 * bias: one a channel. multiplier, shift: requantisation of each channel (trecx/arith.h).
 * input_offset: minus the input's zero point, -127 to 128.
 * activation_min <= activation_max, both from -128 to 127.
 * 255 times the sum of |weights| of one output channel must be below 2^31. */
typedef struct {
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width;
  int32_t channel_multiplier;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t dilation_height, dilation_width;
  int32_t pad_top, pad_left;
  int32_t input_offset, output_offset;
  int32_t activation_min, activation_max;
  const int8_t *weights;
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift;
} trecx_depthwise_conv2d_s8_params;

/* scratch: not used, may be NULL. */
void trecx_depthwise_conv2d_s8(const trecx_depthwise_conv2d_s8_params *params, const int8_t *input,
                               int8_t *output, void *scratch);

#endif
