/* CONV_2D, int8, for the DSP extension. */
#ifndef TRECX_KERNELS_CONV2D_S8_DSP_H
#define TRECX_KERNELS_CONV2D_S8_DSP_H

#include <stdint.h>

#include "trecx/dsp/bytepair.h"

/* Kernel height up to 16, any width, stride and padding; one group, no dilation; at least two
 * output channels.
 *
 *   input   [input_height][input_width][input_channels]
 *   output  [output_height][output_width][layer.channels]
 *   weights byte pairs (trecx/dsp/bytepair.h)
 *
 * A kernel row has `run` = kernel_width * input_channels contiguous inputs. A filter's inputs come
 * in this order: of every kernel row the first run / 4 groups of four, then, position by position,
 * those left of all kernel rows.
 *
 * The input goes row by row into a ring of kernel_height padded rows, so that the output may be
 * written over rows that have been read.
 *
 * row_bytes: of a padded row in the ring, a multiple of 4, at least (pad_left + input_width) *
 *   input_channels and the end of the last output pixel's window.
 * input_zero_point: what the padding is filled with.
 * activation_min, activation_max: -128, 127 unless the activation cuts inside.
 *
 * scratch: TRECX_BYTEPAIR_SCRATCH, 3 * (kernel_height * (run % 4) rounded up to a multiple of 4),
 * and kernel_height * row_bytes. */
typedef struct {
  trecx_bytepair_layer layer;
  int32_t row_bytes;
  int16_t input_height, input_width, input_channels;
  int16_t output_height, output_width;
  int16_t kernel_height, stride_height, stride_width;
  int16_t pad_top, pad_left;
  int16_t run;
  int16_t input_zero_point;
  int16_t activation_min, activation_max;
} trecx_conv2d_s8_bytepair_params;

void trecx_conv2d_s8_bytepair(const trecx_conv2d_s8_bytepair_params *params, const int8_t *input,
                              int8_t *output, void *scratch);

/* 1x1 kernel, stride 1, no padding; 4 * layer.groups input channels.
 *
 *   input   [pixels][4 * layer.groups]
 *   output  [pixels][layer.channels]
 *
 * scratch: TRECX_BYTEPAIR_SCRATCH. */
typedef struct {
  trecx_bytepair_layer layer;
  int32_t pixels;
  int16_t activation_min, activation_max;
} trecx_conv2d_1x1_s8_bytepair_params;

void trecx_conv2d_1x1_s8_bytepair(const trecx_conv2d_1x1_s8_bytepair_params *params,
                                  const int8_t *input, int8_t *output, void *scratch);

/* 1x1 kernel, stride 1, no padding, eight input channels: the inputs of two pixels stay in
 * registers, the filters pass by.
 *
 *   input   [pixels][8]
 *   weights [channels][8]
 *   output  [pixels][channels]
 *
 * pixels, channels: even. constants: in the fast form.
 * scratch: channels * sizeof(trecx_eight_entry), 28 bytes each. */
typedef struct {
  const int8_t *weights;
  trecx_dsp_channels constants;
  int32_t pixels;
  int16_t channels;
  int16_t activation_min, activation_max;
} trecx_conv2d_1x1_s8_eight_params;

void trecx_conv2d_1x1_s8_eight(const trecx_conv2d_1x1_s8_eight_params *params, const int8_t *input,
                               int8_t *output, void *scratch);

#endif
