/* CONV_2D, int8, for the DSP extension. */
#ifndef TRECX_KERNELS_CONV2D_S8_DSP_H
#define TRECX_KERNELS_CONV2D_S8_DSP_H

#include <stdint.h>

#include "trecx/dsp/bytepair.h"
#include "trecx/dsp/wide.h"
#include "trecx/dsp/window.h"

/* Kernel height up to 16, any width, stride and padding; one group, no dilation; at least two
 * output channels.
 *
 *   input   [input_height][input_width][input_channels]
 *   output  [output_height][output_width][layer.channels]
 *   weights byte pairs (trecx/dsp/bytepair.h), inputs in the order of trecx/dsp/window.h
 *
 * activation_min, activation_max: -128, 127 unless the activation cuts inside.
 *
 * scratch: TRECX_BYTEPAIR_SCRATCH, then what trecx_window_start takes. */
typedef struct {
  trecx_bytepair_layer layer;
  trecx_window window;
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

/* The same operators with weights of 16 bits (trecx/dsp/wide.h); an even number of output channels.
 *
 * scratch: twice TRECX_WIDE_SCRATCH, then what trecx_window_start takes. */
typedef struct {
  trecx_wide_layer layer;
  trecx_window window;
  int16_t activation_min, activation_max;
} trecx_conv2d_s8_wide_params;

void trecx_conv2d_s8_wide(const trecx_conv2d_s8_wide_params *params, const int8_t *input,
                          int8_t *output, void *scratch);

/* 1x1 kernel, any stride, no padding.
 *
 * row_pixels: in an output row; with stride 1 the image is one row. pixel_step, row_step: bytes
 *   from an output pixel's input to the next one's, and from a row's to the next one's.
 * scratch: TRECX_WIDE_SCRATCH. */
typedef struct {
  trecx_wide_layer layer;
  int32_t rows, row_pixels;
  int32_t pixel_step, row_step;
  int16_t activation_min, activation_max;
} trecx_conv2d_1x1_s8_wide_params;

void trecx_conv2d_1x1_s8_wide(const trecx_conv2d_1x1_s8_wide_params *params, const int8_t *input,
                              int8_t *output, void *scratch);

/* 1x1 kernel, stride 1, no padding, by Strassen's algorithm (trecx/dsp/strassen.h).
 *
 *   input   [pixels][8 * groups]
 *   output  [pixels][channels]
 *
 * groups: at most TRECX_STRASSEN_MOST_GROUPS. channels: a multiple of 4.
 * scratch: 7 * (16 * groups + 4) bytes. */
typedef struct {
  const uint32_t *weights;
  int32_t pixels;
  int16_t groups, channels;
  int16_t activation_min, activation_max;
} trecx_conv2d_1x1_s8_strassen_params;

/* E = 12. */
void trecx_conv2d_1x1_s8_strassen(const trecx_conv2d_1x1_s8_strassen_params *params,
                                  const int8_t *input, int8_t *output, void *scratch);

/* E = 11. */
void trecx_conv2d_1x1_s8_strassen_11(const trecx_conv2d_1x1_s8_strassen_params *params,
                                     const int8_t *input, int8_t *output, void *scratch);

/* A kernel of three rows with vertical stride 2, two output rows at once (trecx/dsp/rowpair.h).
 *
 * layer: as for trecx_conv2d_s8_wide, with weights as in trecx/dsp/rowpair.h; groups: of a kernel
 * row. window: of two output rows: five input rows every four; output_height: pairs of rows; run: a
 *   multiple of 4.
 * scratch: 80 * layer.groups, then what trecx_window_start takes. */
typedef struct {
  trecx_wide_layer layer;
  trecx_window window;
  int16_t activation_min, activation_max;
} trecx_conv2d_s8_rowpair_params;

void trecx_conv2d_s8_rowpair(const trecx_conv2d_s8_rowpair_params *params, const int8_t *input,
                             int8_t *output, void *scratch);

/* 3x3 kernel, stride 1, by Winograd's F(4x4, 3x3) in exact integers.
 *
 *   input   [input_height][input_width][input_channels]
 *   output  [output_height][output_width][output_channels]
 *
 * A tile of 4x4 outputs comes from 6x6 inputs D and a 3x3 filter G by way of 36 points:
 * A^T ((B^T D B) * (C G C^T)) A with
 *
 *   B^T =  4  0 -5  0  1  0    C =  3  0  0    A^T = 2  4  4  1  1  0
 *          0 -4 -4  1  1  0        -1 -1 -1          0  4 -4  2 -2  0
 *          0  4 -4 -1  1  0        -1  1 -1          0  4  4  4  4  0
 *          0 -2 -1  2  1  0         1  2  4          0  4 -4  8 -8  8
 *          0  2 -1 -2  1  0         1 -2  4
 *          0  4  0 -5  0  1         0  0  3
 *
 * which is the usual form with the fractions multiplied out: 576 times the outputs. Products and
 * sums may wrap: the multiplication by the inverse of 9 modulo 2^32 leaves 64 times the outputs,
 * which fit. Transformed inputs (their zero point moved to -128, so that they are not negative) and
 * transformed weights fit 16 bits.
 *
 * weights: for each pair of filters and each point (column by column) two start values, then
 *   [input_channels / 4][2 words of lanes: channels (0, 2), (1, 3)][2 filters]. A start value takes
 *   off what TRECX_WINOGRAD4_LANE_OFFSET adds; at the point (1, 1) it holds 36 times the bias, too.
 * output_height, output_width: multiples of 4. input_channels: a multiple of 4, at most 64.
 * output_channels: even. constants: the fast form with d at most 5, or the general one; the biases
 *   are not used.
 * row_bytes: (output_width + 2) * input_channels.
 *
 * scratch: output_channels * 16, 720 bytes, output_width rounded up to a multiple of 8 times
 * 18 * input_channels, 6 * row_bytes. */
typedef struct {
  const uint32_t *weights;
  trecx_dsp_channels constants;
  int32_t row_bytes;
  int16_t input_height, input_width, input_channels;
  int16_t output_height, output_width, output_channels;
  int16_t pad_top, pad_left;
  int16_t input_zero_point;
  int16_t activation_min, activation_max;
} trecx_conv2d_s8_winograd4_params;

void trecx_conv2d_s8_winograd4(const trecx_conv2d_s8_winograd4_params *params, const int8_t *input,
                               int8_t *output, void *scratch);

#endif
