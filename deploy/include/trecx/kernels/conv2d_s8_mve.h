/* CONV_2D on Helium, int8. Two schemes; both give bit by bit what trecx_conv2d_s8 gives. */
#ifndef TRECX_KERNELS_CONV2D_S8_MVE_H
#define TRECX_KERNELS_CONV2D_S8_MVE_H

#include <stdint.h>

/* Filters come in pairs. A pair's record in `packed` holds its weights in vectors of 16 bytes,
 * first and second filter in turn, in the order that each scheme states; then six int32 values,
 *
 *   bias, multiplier, minus the right shift (-31 to -1) of the first filter, then of the second.
 *
 * The bias includes -input_zero_point * sum of the weights. With an odd number of filters the last
 * pair repeats its filter. `packed` is 4-byte aligned. */

/* 3x3 kernel, no dilation, stride 1 or 2 in either direction, input_channels a multiple of 16.
 *
 * Order of the weights: for each 16 input channels, for ky, for kx. pad_top and pad_left are from
 * 0 to 2. input and output have any alignment.
 * The output may begin at the input or before it, as far as the rows that are written do not reach
 * the rows that are still to be read: row y is written when min(input_height, y * stride_height -
 * pad_top + 3) rows have been read. */
typedef struct {
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width, output_channels;
  int32_t stride_height;
  int32_t pad_top, pad_left;
  int32_t input_zero_point, output_zero_point;
  int32_t activation_min, activation_max;
  const int8_t *packed;
} trecx_conv2d_s8_mve_3x3_params;

/* scratch: 4-byte aligned; bytes = 68 + 20 * chunks + 48 * chunks * line + tile, with
 *   chunks = input_channels / 16,
 *   line = max(pad_left + input_width, (4 * ceil(output_width / 4) - 1) * stride + 3),
 *   tile = 8 * ceil(output_channels / 2) if output_width is no multiple of 4 or output_channels is
 *          odd, else 0. */
void trecx_conv2d_s8_mve_3x3_stride1(const trecx_conv2d_s8_mve_3x3_params *params,
                                     const int8_t *input, int8_t *output, void *scratch);
void trecx_conv2d_s8_mve_3x3_stride2(const trecx_conv2d_s8_mve_3x3_params *params,
                                     const int8_t *input, int8_t *output, void *scratch);

#endif
