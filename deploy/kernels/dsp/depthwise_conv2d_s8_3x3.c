#include "trecx/dsp/depthwise_inner.h"
#include "trecx/kernels/depthwise_conv2d_s8_dsp.h"

typedef trecx_depthwise_conv2d_s8_3x3_params params_t;

/* Parts of the scratch memory, and what is derived from the parameters. */
typedef struct {
  uint32_t *strip; /* [4 channels][rows][words] */
  int32_t rows, words, outputs;
  trecx_depthwise_entry *entries; /* [4] */
  int8_t *zero; /* four bytes of the input's zero point: what lies left and right of the image */
} state;

static uint32_t lanes(int32_t low, int32_t high) {
  return (uint32_t)(uint16_t)low | (uint32_t)high << 16;
}

static void prepare_channel(const params_t *p, int32_t channel, trecx_depthwise_entry *e) {
  const int8_t *const w = p->weights + 9 * channel;
  const int32_t *const constants = p->constants + 2 * channel;
  for (int32_t i = 0; i < 6; i++) e->bias[i] = 2 * trecx_dsp_bias(constants);
  for (int32_t ky = 0; ky < 3; ky++) {
    e->weights[ky][0] = lanes(2 * w[3 * ky], 2 * w[3 * ky + 1]);
    e->weights[ky][1] = lanes(2 * w[3 * ky + 1], 2 * w[3 * ky + 2]);
  }
  trecx_dsp_prepare_requant(constants, p->output_zero_point, &e->requant);
}

static void start(const params_t *p, state *s, void *scratch) {
  const uint32_t fill = lanes(p->input_zero_point, p->input_zero_point);
  s->rows = (p->output_height - 1) * p->stride + 3;
  s->words = p->stride == 1 ? TRECX_STRIP_WORDS_1 : TRECX_STRIP_WORDS_2;
  s->outputs = p->stride == 1 ? TRECX_STRIP_OUTPUTS_1 : TRECX_STRIP_OUTPUTS_2;
  s->strip = scratch;
  s->entries = (trecx_depthwise_entry *)(s->strip + 4 * s->rows * s->words);
  s->zero = (int8_t *)(s->entries + 4);
  trecx_fill_bytes(s->zero, (int8_t)p->input_zero_point, 4);
  /* Rows above and below the image are never written again. */
  for (int32_t i = 0; i < 4 * s->rows * s->words; i++) s->strip[i] = fill;
}

/* The last word of the strip before is the first of the next; the output may lie over its input. */
static void keep_last_word(const state *s, uint32_t *to, int32_t rows) {
  for (int32_t c = 0; c < 4; c++) {
    uint32_t *row = to + c * s->rows * s->words;
    for (int32_t y = 0; y < rows; y++, row += s->words) *row = row[s->words - 1];
  }
}

/* Spread the strip of outputs from column x on, in the channels from `input` on. */
static void spread_strip(const params_t *p, const state *s, const int8_t *input, int32_t x) {
  const int32_t row_bytes = p->input_width * p->channels;
  const int32_t below = s->rows - p->pad_top;
  const int32_t rows = p->input_height < below ? p->input_height : below;
  if (rows <= 0) return;
  for (int32_t word = 0; word < s->words; word++) {
    uint32_t *const to = s->strip + p->pad_top * s->words + word;
    const int32_t a = x * p->stride - p->pad_left + 2 * word, b = a + 1;
    const int32_t a_inside = a >= 0 && a < p->input_width;
    const int32_t b_inside = b >= 0 && b < p->input_width;
    if (word == 0 && x > 0) {
      keep_last_word(s, to, rows);
    } else if (a_inside || b_inside || p->output_width > s->outputs) {
      const trecx_depthwise_column column = {.a = a_inside ? input + a * p->channels : s->zero,
                                             .b = b_inside ? input + b * p->channels : s->zero,
                                             .to = to,
                                             .rows = rows,
                                             .a_step = a_inside ? row_bytes : 0,
                                             .b_step = b_inside ? row_bytes : 0,
                                             .plane_bytes = 4 * s->rows * s->words};
      if (p->stride == 1) {
        trecx_depthwise_spread_1(&column);
      } else {
        trecx_depthwise_spread_2(&column);
      }
    } /* else a single strip: the word is still as it was filled */
  }
}

/* The channels from `first` to base + 3; the four from `base` on are spread. */
static void channel_group(const params_t *p, const state *s, const int8_t *input, int8_t *output,
                          int32_t base, int32_t first) {
  const int32_t row_step = p->output_width * p->channels;
  void (*const strip)(const trecx_depthwise_run *) =
      p->stride == 1 ? trecx_depthwise_strip_1 : trecx_depthwise_strip_2;
  for (int32_t c = first - base; c < 4; c++) prepare_channel(p, base + c, &s->entries[c]);
  for (int32_t x = 0; x < p->output_width; x += s->outputs) {
    const int32_t left = p->output_width - x;
    spread_strip(p, s, input + base, x);
    for (int32_t c = first - base; c < 4; c++) {
      int8_t *const at = output + x * p->channels + base + c;
      const trecx_depthwise_run run = {
          .output = at,
          .pixel_step = p->channels,
          .entry_point = (left < s->outputs ? left : s->outputs) + (p->round_negatives ? 7 : 0),
          .row_step = row_step,
          .output_end = at + p->output_height * row_step,
          .strip = s->strip + c * s->rows * s->words,
          .entry = &s->entries[c]};
      strip(&run);
    }
  }
}

/* Channel by channel, the output may only lie exactly over the input. If it begins a little before
 * it, the input is moved first. */
static const int8_t *align_overlap(const params_t *p, const int8_t *input, int8_t *output) {
  const int32_t bytes = p->input_height * p->input_width * p->channels;
  const int32_t same_size =
      p->input_height == p->output_height && p->input_width == p->output_width;
  if (!same_size || output >= input || output + bytes <= input) return input;
  memmove(output, input, (size_t)bytes);
  return output;
}

void trecx_depthwise_conv2d_s8_3x3(const trecx_depthwise_conv2d_s8_3x3_params *params,
                                   const int8_t *input, int8_t *output, void *scratch) {
  const params_t *const p = params;
  state s;
  start(p, &s, scratch);
  input = align_overlap(p, input, output);
  for (int32_t channel = 0; channel < p->channels; channel += 4) {
    const int32_t last = p->channels - 4; /* an incomplete group is spread with its predecessors */
    channel_group(p, &s, input, output, channel < last ? channel : last, channel);
  }
  trecx_clamp_bytes(output, p->output_height * p->output_width * p->channels, p->activation_min,
                    p->activation_max);
}
