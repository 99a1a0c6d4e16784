#include "trecx/dsp/depthwise_inner.h"
#include "trecx/kernels/depthwise_conv2d_s8_dsp.h"

typedef trecx_depthwise_conv2d_s8_3x3_params params_t;

/* Parts of the scratch memory, and what is derived from the parameters.
 * image: where the image's first row begins in a strip; image_rows: rows of it that are read.
 * zero: four bytes of the input's zero point, which lie left and right of the image. */
typedef struct {
  uint32_t *strip; /* [4 channels][rows][words] */
  uint32_t *image;
  int32_t image_rows;
  int32_t rows, words, outputs;
  trecx_depthwise_entry *entries; /* [4] */
  int8_t *zero;
} state;

/* The taps of a row as lanes (0, 1) and (1, 2), shifted left. */
static void prepare_weights(const int8_t *w, int32_t shift, uint32_t taps[3][2]) {
  const uint32_t first = trecx_load32(w), second = trecx_load32(w + 4);
  const uint32_t w02 = trecx_shift_lanes(trecx_lanes_02(first), shift);
  const uint32_t w13 = trecx_shift_lanes(trecx_lanes_13(first), shift);
  const uint32_t w46 = trecx_shift_lanes(trecx_lanes_02(second), shift);
  const uint32_t w57 = trecx_shift_lanes(trecx_lanes_13(second), shift);
  taps[0][0] = trecx_lanes(w02, w13);
  taps[0][1] = trecx_lanes(w13, w02 >> 16);
  taps[1][0] = trecx_lanes(w13 >> 16, w46);
  taps[1][1] = trecx_lanes(w46, w57);
  taps[2][0] = trecx_lanes(w46 >> 16, w57 >> 16);
  taps[2][1] = trecx_lanes(w57 >> 16, (uint32_t)w[8] << shift);
}

static void prepare_channel(const params_t *p, const trecx_dsp_channel *channel,
                            const int8_t *weights, trecx_depthwise_entry *e) {
  const int32_t shift = p->constants.fast_shift ? channel->requant.shift + 1 : 1;
  const int32_t bias = channel->bias * (1 << shift);
  for (int32_t i = 0; i < 6; i++) e->bias[i] = bias;
  prepare_weights(weights, shift, e->weights);
  e->requant = channel->requant;
}

/* Entries of the channels from `first` to `first` + count - 1. */
static void prepare_channels(const params_t *p, int32_t first, int32_t count,
                             trecx_depthwise_entry *entries) {
  const int8_t *weights = p->weights + 9 * first;
  trecx_dsp_channel channels[4];
  trecx_dsp_unpack(&p->constants, first, count, channels);
  for (int32_t c = 0; c < count; c++, weights += 9) {
    prepare_channel(p, &channels[c], weights, &entries[c]);
  }
}

static void start(const params_t *p, state *s, void *scratch) {
  const uint32_t zero = (uint32_t)(int32_t)p->input_zero_point;
  s->rows = (p->output_height - 1) * p->stride + 3;
  s->words = p->stride == 1 ? TRECX_STRIP_WORDS_1 : TRECX_STRIP_WORDS_2;
  s->outputs = p->stride == 1 ? TRECX_STRIP_OUTPUTS_1 : TRECX_STRIP_OUTPUTS_2;
  s->strip = scratch;
  s->image = s->strip + p->pad_top * s->words;
  s->image_rows = s->rows - p->pad_top;
  if (s->image_rows > p->input_height) s->image_rows = p->input_height;
  s->entries = (trecx_depthwise_entry *)(s->strip + 4 * s->rows * s->words);
  s->zero = (int8_t *)(s->entries + 4);
  trecx_fill_bytes(s->zero, (int8_t)p->input_zero_point, 4);
  /* Rows above and below the image are never written again. */
  for (int32_t i = 0; i < 4 * s->rows * s->words; i += 4) {
    for (int32_t k = 0; k < 4; k++) s->strip[i + k] = trecx_lanes(zero, zero);
  }
}

/* The last word of the strip before is the first of the next; the output may lie over its input.
 * Rows of padding are copied along. */
static inline void keep_last_words(uint32_t *strip, int32_t rows, int32_t words) {
  for (; rows > 0; rows--, strip += 4 * words) {
    for (int32_t c = 0; c < 4; c++) strip[c * words] = strip[c * words + words - 1];
  }
}

static void keep_last_word(const params_t *p, const state *s) {
  if (p->stride == 1) {
    keep_last_words(s->strip, s->rows, TRECX_STRIP_WORDS_1);
  } else {
    keep_last_words(s->strip, s->rows, TRECX_STRIP_WORDS_2);
  }
}

static void spread(const params_t *p, const trecx_depthwise_column *column) {
  if (p->stride == 1) {
    trecx_depthwise_spread_1(column);
  } else {
    trecx_depthwise_spread_2(column);
  }
}

/* A column of which one pixel or both are outside of the image; x: of the first one. */
static __attribute__((noinline)) void spread_edge(const params_t *p, const state *s,
                                                  trecx_depthwise_column column, int32_t x) {
  if (x < 0 || x >= p->input_width) {
    column.a = s->zero;
    column.a_step = 0;
  }
  if (x + 1 < 0 || x + 1 >= p->input_width) {
    column.b = s->zero;
    column.b_step = 0;
    /* With a single strip, what is outside is still as it was filled. */
    if (column.a_step == 0 && p->output_width <= s->outputs) return;
  }
  spread(p, &column);
}

/* Spread the strip of outputs from column x on, in the channels from `input` on. */
static void spread_strip(const params_t *p, const state *s, const int8_t *input, int32_t x) {
  const int32_t channels = p->channels, last = p->input_width - 2;
  const int32_t row_bytes = p->input_width * channels;
  const uint32_t *const end = s->image + s->words;
  trecx_depthwise_column column = {.to = s->image,
                                   .rows = s->image_rows,
                                   .a_step = row_bytes,
                                   .b_step = row_bytes,
                                   .plane_bytes = 4 * s->rows * s->words};
  if (s->image_rows <= 0) return;
  if (x > 0) {
    keep_last_word(p, s);
    column.to++;
  }
  x = x * p->stride - p->pad_left + 2 * (int32_t)(column.to - s->image);
  for (column.a = input + x * channels; column.to != end; column.to++, x += 2) {
    column.b = column.a + channels;
    if (x >= 0 && x <= last) {
      spread(p, &column);
    } else {
      spread_edge(p, s, column, x);
    }
    column.a = column.b + channels;
  }
}

/* The channels from `first` to base + 3; the four from `base` on are spread. */
static void channel_group(const params_t *p, const state *s, const int8_t *input, int8_t *output,
                          int32_t base, int32_t first) {
  const int32_t skipped = first - base;
  const int32_t row_step = p->output_width * p->channels;
  const int32_t plane = s->rows * s->words;
  trecx_depthwise_run run = {.pixel_step = p->channels,
                             .row_step = row_step,
                             .strip_gap = 4 * (plane - p->output_height * p->stride * s->words),
                             .output_gap = 1 - p->output_height * row_step,
                             .channels = 4 - skipped,
                             .strip = s->strip + skipped * plane,
                             .entry = &s->entries[skipped]};
  if (p->entries) {
    run.entry = (const trecx_depthwise_entry *)p->entries + first;
  } else {
    prepare_channels(p, first, 4 - skipped, &s->entries[skipped]);
  }
  for (int32_t x = 0; x < p->output_width; x += s->outputs) {
    const int32_t left = p->output_width - x;
    spread_strip(p, s, input + base, x);
    run.output = output + x * p->channels + first;
    run.output_end = run.output + p->output_height * row_step;
    run.entry_point = (left < s->outputs ? left : s->outputs) + (p->constants.fast_shift ? 0 : 7);
    if (p->stride == 1) {
      trecx_depthwise_strip_1(&run);
    } else {
      trecx_depthwise_strip_2(&run);
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
  for (int32_t i = 0; i < bytes; i++) {
    output[i] = input[i]; /* upwards, as the input lies higher */
    __asm__("" : "+r"(i));
  }
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
