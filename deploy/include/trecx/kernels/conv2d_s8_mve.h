/* CONV_2D on Helium, int8. Three schemes; all give bit by bit what trecx_conv2d_s8 gives.
 *
 * Layouts, last index fastest: input [input_height][input_width][input_channels], output
 * [output_height][output_width][output_channels]. No groups. activation_min <= activation_max, both
 * from -128 to 127; zero points from -128 to 127. Where a kernel has a _relu variant, that is for
 * activation_min >= output_zero_point (see trecx/mve_arith.h). */
#ifndef TRECX_KERNELS_CONV2D_S8_MVE_H
#define TRECX_KERNELS_CONV2D_S8_MVE_H

#include <stdint.h>

/* Filters come in pairs. A pair's record in `packed` holds its weights in vectors of 16 bytes,
 * first and second filter in turn, in the order that each scheme states; then its requantisation,
 * in words or in bytes:
 * - words: bias, multiplier, minus the right shift (-31 to -1) of the first filter, then of the
 *   second;
 * - bytes: bias and multiplier of the first filter, then of the second (words); minus the right
 *   shift of the first and of the second (bytes); two unused bytes.
 *
 * The bias includes -input_zero_point * sum of the weights. With an odd number of filters the last
 * pair repeats its filter. `packed` is 4-byte aligned. */

/* 3x3 kernel, no dilation, stride 1 or 2 in either direction, input_channels a multiple of 16.
 *
 * Order of the weights: for each 16 input channels, for ky, for kx. Requantisation in words, and
 * two words more: the output's zero point; 1, or 0 in the last record. pad_top and pad_left are
 * from 0 to 2. input and output have any alignment.
 *
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

/* stride: stride_width. scratch: 4-byte aligned; bytes = 56 + 20 * chunks + 48 * chunks * line +
 * tile, with
 * - chunks = input_channels / 16,
 * - line = max(pad_left + input_width, (4 * ceil(output_width / 4) - 1) * stride_width + 3),
 * - tile = 8 * ceil(output_channels / 2) if output_width is no multiple of 4 or output_channels is
 *   odd, else 0. */
void trecx_conv2d_s8_mve_3x3_stride1(const trecx_conv2d_s8_mve_3x3_params *params,
                                     const int8_t *input, int8_t *output, void *scratch);
void trecx_conv2d_s8_mve_3x3_stride2(const trecx_conv2d_s8_mve_3x3_params *params,
                                     const int8_t *input, int8_t *output, void *scratch);

/* The same for 16 input channels, in fewer instructions. */
void trecx_conv2d_s8_mve_3x3x16_stride1(const trecx_conv2d_s8_mve_3x3_params *params,
                                        const int8_t *input, int8_t *output, void *scratch);
void trecx_conv2d_s8_mve_3x3x16_stride2(const trecx_conv2d_s8_mve_3x3_params *params,
                                        const int8_t *input, int8_t *output, void *scratch);
void trecx_conv2d_s8_mve_3x3x16_stride1_relu(const trecx_conv2d_s8_mve_3x3_params *params,
                                             const int8_t *input, int8_t *output, void *scratch);
void trecx_conv2d_s8_mve_3x3x16_stride2_relu(const trecx_conv2d_s8_mve_3x3_params *params,
                                             const int8_t *input, int8_t *output, void *scratch);

/* Any kernel, stride, dilation and padding.
 *
 * Order of the weights: for ky, for kx, for each channel, filled up with zeros to `chunks` vectors,
 * at least two. Requantisation in bytes. group: the number of windows that are staged at a time, a
 * multiple of 4. line_bytes: 0 for a 1x1 kernel whose output pixels all come from pixels of the
 * input, else the bytes of a padded input row, input_channels * max(pad_left + input_width,
 * (output_width - 1) * stride_width + (kernel_width - 1) * dilation_width + 1), rounded up to a
 * multiple of 4. input and output have any alignment.
 *
 * The output may begin at the input or before it, as far as the groups that are written do not
 * reach the rows (line_bytes = 0: pixels) that are still to be read. */
typedef struct {
  int32_t input_height, input_width, input_channels;
  int32_t output_height, output_width, output_channels;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t dilation_height, dilation_width;
  int32_t pad_top, pad_left;
  int32_t input_zero_point, output_zero_point;
  int32_t activation_min, activation_max;
  int32_t chunks, group, line_bytes;
  const int8_t *packed;
} trecx_conv2d_s8_mve_patch_params;

/* scratch: 4-byte aligned; bytes = 120 + 16 * group * chunks + windows + tile, with
 * - windows = 0 where line_bytes is 0, else 16 * chunks + 32 + ((kernel_height - 1) *
 *   dilation_height + 1) * line_bytes + 16, rounded up to a multiple of 4,
 * - tile = 8 * ceil(output_channels / 2) if the number of output pixels is no multiple of 4 or
 *   output_channels is odd, else 0. */
void trecx_conv2d_s8_mve_patch(const trecx_conv2d_s8_mve_patch_params *params, const int8_t *input,
                               int8_t *output, void *scratch);

/* The same for two chunks (up to 32 weights a filter), in fewer instructions. */
void trecx_conv2d_s8_mve_patch_32(const trecx_conv2d_s8_mve_patch_params *params,
                                  const int8_t *input, int8_t *output, void *scratch);
void trecx_conv2d_s8_mve_patch_32_relu(const trecx_conv2d_s8_mve_patch_params *params,
                                       const int8_t *input, int8_t *output, void *scratch);

/* 1x1 kernel, at most 16 input channels, any stride; all output pixels come from pixels of the
 * input.
 *
 * Order of the weights: the channels, filled up with zeros to one vector. Requantisation in words.
 * The number of pairs in `packed` is even: output channels are filled up to a multiple of 4 by
 * repeating the last filter. The pixels that are read, in rows: `rows` rows of row_pixels pixels,
 * pixel_step and row_step bytes apart; last_row_bytes: from the first pixel of the last row to the
 * end of the input. output is 4-byte aligned.
 *
 * The output may begin at the input or before it, as far as four pixels written do not reach those
 * still to be read. */
typedef struct {
  int32_t input_channels, output_channels;
  int32_t rows, row_pixels, row_step, pixel_step, last_row_bytes;
  int32_t output_zero_point, activation_min, activation_max;
  const int8_t *packed;
} trecx_conv2d_s8_mve_narrow_params;

/* scratch: 4-byte aligned, 132 + 16 * ceil(output_channels / 4) bytes. */
void trecx_conv2d_s8_mve_narrow(const trecx_conv2d_s8_mve_narrow_params *params,
                                const int8_t *input, int8_t *output, void *scratch);

/* The same for an output zero point of -128. */
void trecx_conv2d_s8_mve_narrow_relu(const trecx_conv2d_s8_mve_narrow_params *params,
                                     const int8_t *input, int8_t *output, void *scratch);

/* The same, and for 8 input channels: weights 8 to 14 times 127, plus weight 15, are the bias; the
 * biases of the records are not used. input is 4-byte aligned. */
void trecx_conv2d_s8_mve_narrow_8_relu(const trecx_conv2d_s8_mve_narrow_params *params,
                                       const int8_t *input, int8_t *output, void *scratch);

#endif
