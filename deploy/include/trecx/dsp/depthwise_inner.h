/* The inner loops of dsp/depthwise_conv2d_s8_3x3.c: assembly, or plain C where there is no DSP
 * extension. */
#ifndef TRECX_DSP_DEPTHWISE_INNER_H
#define TRECX_DSP_DEPTHWISE_INNER_H

#include "trecx/dsp/arith.h"

/* Outputs of a strip in a row, and words of two neighbouring inputs that they need. The last word
 * of a strip is the first of the next. */
#define TRECX_STRIP_OUTPUTS_1 6
#define TRECX_STRIP_WORDS_1 4
#define TRECX_STRIP_OUTPUTS_2 4
#define TRECX_STRIP_WORDS_2 5

/* The second shift of the fast requantisation. */
#define TRECX_DEPTHWISE_FAST_SHIFT 10

/* A channel, ready for use. Biases and weights are shifted left as the requantisation wants the
 * sum: by d + 1 in the fast form, by 1 in the general one. weights: for each kernel row the taps
 * (0, 1) and (1, 2) as lanes. */
typedef struct {
  int32_t bias[6];
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

/* A column of words of a strip: pixels at a and b, each advanced by its step from row to row, in
 * four channels; plane_bytes from a channel to the next. The assembly relies on the order. */
typedef struct {
  const int8_t *a, *b;
  uint32_t *to;
  int32_t rows;
  int32_t a_step, b_step;
  int32_t plane_bytes;
} trecx_depthwise_column;

#if defined(__ARM_FEATURE_DSP)
#include "trecx/dsp/depthwise_asm.h"
#else
#include "trecx/dsp/depthwise_portable.h"
#endif

#endif
