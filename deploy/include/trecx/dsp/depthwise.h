/* The common part of the DSP kernels for DEPTHWISE_CONV_2D with kernels of 3x3 (dsp/depthwise.c):
 * four channels at a time and a strip of some columns at a time are spread out to 16 bits in the
 * scratch memory, one channel behind the other; then a row of the strip's outputs at a time is
 * computed. */
#ifndef TRECX_DSP_DEPTHWISE_H
#define TRECX_DSP_DEPTHWISE_H

#include "trecx/kernels/depthwise_conv2d_s8_dsp.h"

/* Words of two neighbouring inputs in a row of a strip, for strides 1 and 2, and outputs that they
 * serve. The last word of a strip is the first of the next. */
#define TRECX_STRIP_WORDS_1 4
#define TRECX_STRIP_WORDS_2 7
#define TRECX_STRIP_OUTPUTS 6

/* The second shift of the fast requantisation. */
#define TRECX_DEPTHWISE_FAST_SHIFT 10

/* A channel, ready for use. Bias and weights are shifted left as the requantisation wants the sum:
 * by d + 1 in the fast form, by 1 in the general one. weights: for each kernel row the taps (0, 1)
 * and (1, 2) as lanes. */
typedef struct {
  int32_t bias;
  uint32_t weights[3][2];
  trecx_dsp_requant requant;
} trecx_depthwise_entry;

/* One strip in some neighbouring channels. The assembly relies on the order of the fields.
 * entry_point: outputs of the strip in a row, plus 7 for the general requantisation.
 * output to output_end, in steps of row_step: the first channel's rows.
 * strip_gap: bytes from behind the rows of a channel's strip to the next channel's strip.
 * output_gap: bytes from output_end to the next channel's output, negative.
 * entry: of the first channel; the others follow. */
typedef struct {
  int8_t *output;
  int32_t pixel_step;
  int32_t entry_point;
  int32_t row_step;
  const int8_t *output_end;
  int32_t strip_gap;
  int32_t output_gap;
  int32_t channels;
  const uint32_t *strip;
  const trecx_depthwise_entry *entry;
} trecx_depthwise_run;

/* Neighbouring columns of words of a strip, in four channels, plane_bytes from a channel to the
 * next; `a` and `to` move on to the column after the last. channels: bytes to the next pixel. The
 * assembly relies on the order. */
typedef struct {
  const int8_t *a;
  int32_t channels;
  uint32_t *to;
  int32_t rows;
  int32_t row_bytes;
  int32_t columns;
  int32_t plane_bytes;
} trecx_depthwise_columns;

/* One half of a column, in four channels: pixels from `a` on, `step` bytes from row to row.
 * to_step: bytes from a row of the strip to the next. The assembly relies on the order. */
typedef struct {
  const int8_t *a;
  int32_t step;
  int16_t *to;
  int32_t rows;
  int32_t to_step;
  int32_t plane_bytes;
} trecx_depthwise_half;

/* How a kernel works on strips.
 * words: in a row of a strip. strip: computes outputs; spread: columns inside of the image. */
typedef struct {
  int32_t stride, words;
  void (*strip)(const trecx_depthwise_run *run);
  void (*spread)(trecx_depthwise_columns *columns);
} trecx_depthwise_shape;

void trecx_depthwise(const trecx_depthwise_conv2d_s8_3x3_params *params,
                     const trecx_depthwise_shape *shape, const int8_t *input, int8_t *output,
                     void *scratch);

#endif
