/* DEPTHWISE_CONV_2D, int8, for the DSP extension. */
#ifndef TRECX_KERNELS_DEPTHWISE_CONV2D_S8_DSP_H
#define TRECX_KERNELS_DEPTHWISE_CONV2D_S8_DSP_H

#include <stdint.h>

#include "trecx/dsp/arith.h"

/* Kernel up to 3x3 (smaller ones are embedded in one of 3x3 with zeros), any padding, depth
 * multiplier 1, at least four channels.
 *
 *   input     [input_height][input_width][channels]
 *   output    [output_height][output_width][channels]
 *   weights   [channels][3][3]
 *
 * Four channels at a time and a strip of some columns at a time are spread out to 16 bits in the
 * scratch memory, one channel behind the other. When input and output have the same size, the
 * output may lie over the input (or begin before it).
 *
 * entries: NULL, or the words of a trecx_depthwise_entry (trecx/dsp/depthwise.h) for each
 *   channel, which are made from weights and constants otherwise; of these only fast_shift is used
 *   then.
 * scratch: 4 * ((output_height - 1) * stride + 3) * (16 or, with stride 2, 28) bytes,
 *   4 * sizeof(trecx_depthwise_entry), 8 bytes.
 */
typedef struct {
  const int8_t *weights;
  const uint32_t *entries;
  trecx_dsp_channels constants;
  int16_t input_height, input_width;
  int16_t output_height, output_width;
  int16_t channels;
  int16_t pad_top, pad_left;
  int16_t input_zero_point;
  int16_t activation_min, activation_max;
} trecx_depthwise_conv2d_s8_3x3_params;

/* Stride 1 in both directions. */
void trecx_depthwise_conv2d_s8_3x3(const trecx_depthwise_conv2d_s8_3x3_params *params,
                                   const int8_t *input, int8_t *output, void *scratch);

/* Stride 1 and an output of exactly five columns. */
void trecx_depthwise_conv2d_s8_3x3_five(const trecx_depthwise_conv2d_s8_3x3_params *params,
                                        const int8_t *input, int8_t *output, void *scratch);

/* Stride 2 in both directions. */
void trecx_depthwise_conv2d_s8_3x3_stride2(const trecx_depthwise_conv2d_s8_3x3_params *params,
                                           const int8_t *input, int8_t *output, void *scratch);

#endif
