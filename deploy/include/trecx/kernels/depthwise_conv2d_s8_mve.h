/* DEPTHWISE_CONV_2D on Helium, int8. All schemes give bit by bit what trecx_depthwise_conv2d_s8
 * gives. */
#ifndef TRECX_KERNELS_DEPTHWISE_CONV2D_S8_MVE_H
#define TRECX_KERNELS_DEPTHWISE_CONV2D_S8_MVE_H

#include <stdint.h>

#include "trecx/kernels/depthwise_conv2d_s8.h"

/* Kernels up to 3x3, no dilation, one output channel for each input channel, an even number of
 * channels, at least 2x2 output pixels. Stride 1 in both directions, or stride_width 2 and any
 * stride_height.
 *
 * packed, 4-byte aligned, has a record for each channel:
 * - stride 1, 20 bytes: three words, the kernel rows: a byte before the taps kx = 0, 1, 2 (rows and
 *   columns that a smaller kernel does not have are 0), in the first row the right shift (1 to 31);
 *   then bias and multiplier;
 * - stride 2, 24 bytes: the third taps of the three rows and a zero byte, then as above.
 * The bias includes -input_zero_point * sum of the weights.
 *
 * The plane of one channel, with its border:
 * - stride 1: plane_height = max(pad_top + input_height, output_height + 2); plane_width =
 *   max(pad_left + input_width, output_width + 2, or + 3 if that is odd), made even;
 * - stride 2: plane_height = max(pad_top + input_height, (output_height - 1) * stride_height + 3),
 *   plane_width = max(pad_left + input_width, 2 * output_width + 1), at most 123.
 *
 * group_rows: input rows whose places are tabulated. band_rows: output rows whose places are
 * tabulated, a divisor of output_height (stride 1: even, or output_height).
 * input: 2-byte aligned. The output may begin at the input or anywhere before it. */
typedef struct {
  int32_t input_height, input_width, channels;
  int32_t output_height, output_width;
  int32_t stride_height;
  int32_t pad_top, pad_left;
  int32_t plane_height, plane_width;
  int32_t group_rows, band_rows;
  int32_t input_zero_point, output_zero_point;
  int32_t activation_min, activation_max;
  const int8_t *packed;
} trecx_depthwise_conv2d_s8_mve_3x3_params;

/* scratch: 4-byte aligned; bytes = 144 + 2 * plane_height * plane_width
 *   + 2 * (group_rows * input_width, made even) + 16 + tables, with
 * - stride 1: squares = ceil(band_rows / 2) * (output_width / 2), made even; columns =
 *   ceil(band_rows / 2), made a multiple of 4, if output_width is odd, else 0; tables =
 *   4 * (squares + columns) * output_height / band_rows + 8 * squares + 4 * columns;
 * - stride 2: neighbours = band_rows * ceil(output_width / 2), made a multiple of 4; tables =
 *   8 * neighbours * output_height / band_rows + 4 * neighbours. */
void trecx_depthwise_conv2d_s8_mve_3x3_stride1(
    const trecx_depthwise_conv2d_s8_mve_3x3_params *params, const int8_t *input, int8_t *output,
    void *scratch);
void trecx_depthwise_conv2d_s8_mve_3x3_stride2(
    const trecx_depthwise_conv2d_s8_mve_3x3_params *params, const int8_t *input, int8_t *output,
    void *scratch);

/* The same where activation_min >= output_zero_point (see trecx/mve_arith.h), all shifts are from
 * -12 to -5 and no accumulator reaches 2^30. */
void trecx_depthwise_conv2d_s8_mve_3x3_stride1_relu(
    const trecx_depthwise_conv2d_s8_mve_3x3_params *params, const int8_t *input, int8_t *output,
    void *scratch);
void trecx_depthwise_conv2d_s8_mve_3x3_stride2_relu(
    const trecx_depthwise_conv2d_s8_mve_3x3_params *params, const int8_t *input, int8_t *output,
    void *scratch);

/* Any kernel, stride, dilation and padding, any requantisation; channel_multiplier must be 1. Four
 * channels at a time. scratch: not used, may be NULL. In place as trecx_depthwise_conv2d_s8. */
void trecx_depthwise_conv2d_s8_mve_lanes(const trecx_depthwise_conv2d_s8_params *params,
                                         const int8_t *input, int8_t *output, void *scratch);

#endif
