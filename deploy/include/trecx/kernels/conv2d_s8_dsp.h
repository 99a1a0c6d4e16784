/* CONV_2D, int8, for the DSP extension. */
#ifndef TRECX_KERNELS_CONV2D_S8_DSP_H
#define TRECX_KERNELS_CONV2D_S8_DSP_H

#include <stdint.h>

#include "trecx/dsp/bytepair.h"

/* Any kernel size, stride and padding; one group, no dilation; at least two output channels.
 *
 *   input   [input_height][input_width][input_channels]
 *   output  [output_height][output_width][output_channels]
 *   weights byte pairs (trecx/dsp/bytepair.h); inputs in the order [kernel_height][kernel_width]
 *           [input_channels]
 *
 * The input goes row by row into a ring of kernel_height padded rows, so that the output may be
 * written over rows that have been read.
 *
 * row_bytes: of a padded row in the ring, (pad_left + input_width + right padding) *
 * input_channels; at least the last output pixel's window. run: kernel_width * input_channels, the
 * contiguous inputs of a kernel row. groups: groups of four inputs of a filter, padded.
 * input_zero_point: what the padding is filled with.
 * activation_min, activation_max: -128, 127 unless the activation cuts inside.
 *
 * scratch, in this order, every part rounded up to 4 bytes:
 *   pairs * sizeof(trecx_bytepair_entry), groups * 24 (tile),
 *   3 * patch_bytes if run is no multiple of 4, patch_bytes = 4 * groups + 12,
 *   kernel_height * row_bytes + 4 */
typedef struct {
  const uint32_t *weights;
  const int32_t *constants;
  int32_t row_bytes;
  int16_t input_height, input_width, input_channels;
  int16_t output_height, output_width, output_channels;
  int16_t kernel_height, stride_height, stride_width;
  int16_t pad_top, pad_left;
  int16_t run, groups;
  int16_t input_zero_point, output_zero_point;
  int16_t activation_min, activation_max;
  int16_t round_negatives;
} trecx_conv2d_s8_bytepair_params;

void trecx_conv2d_s8_bytepair(const trecx_conv2d_s8_bytepair_params *params, const int8_t *input,
                              int8_t *output, void *scratch);

/* 1x1 kernel, stride 1, no padding; input_channels a multiple of 4. Other fields as above.
 *
 *   input   [pixels][input_channels]
 *   output  [pixels][output_channels]
 *
 * scratch: pairs * sizeof(trecx_bytepair_entry), groups * 24. */
typedef struct {
  const uint32_t *weights;
  const int32_t *constants;
  int32_t pixels;
  int16_t input_channels, output_channels;
  int16_t output_zero_point;
  int16_t activation_min, activation_max;
  int16_t round_negatives;
} trecx_conv2d_1x1_s8_bytepair_params;

void trecx_conv2d_1x1_s8_bytepair(const trecx_conv2d_1x1_s8_bytepair_params *params,
                                  const int8_t *input, int8_t *output, void *scratch);

#endif
