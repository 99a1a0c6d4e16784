#include "trecx/dsp/depthwise_inner.h"

typedef trecx_depthwise_conv2d_s8_3x3_params params_t;
typedef trecx_depthwise_shape shape_t;

/* Parts of the scratch memory, and what is derived from the parameters.
 * image: where the image's first row begins in a strip; image_rows: rows of it that are read.
 * zero: four bytes of the input's zero point, which lie left and right of the image. */
typedef struct {
  const shape_t *shape;
  uint32_t *strip; /* [4 channels][rows][words] */
  uint32_t *image;
  int32_t image_rows, row_bytes;
  int32_t rows, plane;            /* words of a channel */
  trecx_depthwise_entry *entries; /* [4] */
  int8_t *zero;
  trecx_depthwise_run run; /* what all channels and strips have in common */
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
  e->bias = channel->bias * (1 << shift);
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

static void start(const params_t *p, const shape_t *shape, state *s, void *scratch) {
  const uint32_t zero = (uint32_t)(int32_t)p->input_zero_point;
  s->shape = shape;
  s->rows = (p->output_height - 1) * shape->stride + 3;
  s->plane = s->rows * shape->words;
  s->strip = scratch;
  s->image = s->strip + p->pad_top * shape->words;
  s->image_rows = s->rows - p->pad_top;
  if (s->image_rows > p->input_height) s->image_rows = p->input_height;
  s->row_bytes = p->input_width * p->channels;
  s->entries = (trecx_depthwise_entry *)(s->strip + 4 * s->plane);
  s->zero = (int8_t *)(s->entries + 4);
  trecx_fill_bytes(s->zero, (int8_t)p->input_zero_point, 4);
  s->run.pixel_step = p->channels;
  s->run.row_step = p->output_width * p->channels;
  s->run.strip_gap = 4 * (s->plane - p->output_height * shape->stride * shape->words);
  s->run.output_gap = 1 - p->output_height * s->run.row_step;
  /* Rows above and below the image are never written again. */
  for (int32_t i = 0; i < 4 * s->plane; i += 4) {
    for (int32_t k = 0; k < 4; k++) s->strip[i + k] = trecx_lanes(zero, zero);
  }
}

/* The last word of the strip before is the first of the next; the output may lie over its input.
 * Rows of padding are copied along. */
static void keep_last_word(const state *s) {
  const int32_t words = s->shape->words;
  uint32_t *a = s->strip, *b = a + words;
  for (int32_t rows = 2 * s->rows; rows > 0; rows--, a += 2 * words, b += 2 * words) {
    const uint32_t last_a = a[words - 1], last_b = b[words - 1];
    *a = last_a;
    *b = last_b;
  }
}

/* One half of the columns' first one: the pixel x, which may be outside of the image. With a single
 * strip, what is outside is still as it was filled. */
static void spread_half(const params_t *p, const state *s, const trecx_depthwise_columns *columns,
                        int32_t x, int32_t upper) {
  const int32_t inside = x >= 0 && x < p->input_width;
  const trecx_depthwise_half half = {.a = inside ? columns->a + upper * columns->channels : s->zero,
                                     .step = inside ? columns->row_bytes : 0,
                                     .to = (int16_t *)columns->to + upper,
                                     .rows = columns->rows,
                                     .to_step = 4 * s->shape->words,
                                     .plane_bytes = columns->plane_bytes};
  if (inside || p->output_width > TRECX_STRIP_OUTPUTS) trecx_depthwise_spread_half(&half);
}

/* Spread the strip of outputs from column x on, in the channels from `input` on. */
static void spread_strip(const params_t *p, const state *s, const int8_t *input, int32_t x) {
  const int32_t words = s->shape->words;
  trecx_depthwise_columns columns = {.channels = p->channels,
                                     .to = s->image,
                                     .rows = s->image_rows,
                                     .row_bytes = s->row_bytes,
                                     .plane_bytes = 4 * s->plane};
  const uint32_t *const end = s->image + words;
  if (s->image_rows <= 0) return;
  if (x > 0) {
    keep_last_word(s);
    columns.to++;
    x = x * s->shape->stride + 2;
  }
  x -= p->pad_left;
  columns.a = input + x * p->channels;
  while (columns.to != end && (x < p->input_width || p->output_width > TRECX_STRIP_OUTPUTS)) {
    const int32_t left = (int32_t)(end - columns.to), inside = (p->input_width - x) >> 1;
    if (x >= 0 && inside > 0) {
      columns.columns = inside < left ? inside : left;
      x += 2 * columns.columns;
      s->shape->spread(&columns);
    } else {
      spread_half(p, s, &columns, x, 0);
      spread_half(p, s, &columns, x + 1, 1);
      columns.to++;
      columns.a += 2 * p->channels;
      x += 2;
    }
  }
}

/* The channels from `first` to base + 3; the four from `base` on are spread. */
static void channel_group(const params_t *p, state *s, const int8_t *input, int8_t *output,
                          int32_t base, int32_t first) {
  const int32_t skipped = first - base, bytes = 1 - s->run.output_gap;
  trecx_depthwise_run *const run = &s->run;
  run->channels = 4 - skipped;
  run->strip = s->strip + skipped * s->plane;
  run->output = output + first;
  if (p->entries) {
    run->entry = (const trecx_depthwise_entry *)p->entries + first;
  } else {
    prepare_channels(p, first, 4 - skipped, s->entries);
    run->entry = s->entries;
  }
  for (int32_t x = 0; x < p->output_width; x += TRECX_STRIP_OUTPUTS) {
    const int32_t left = p->output_width - x;
    spread_strip(p, s, input + base, x);
    run->output_end = run->output + bytes;
    run->entry_point = (left < TRECX_STRIP_OUTPUTS ? left : TRECX_STRIP_OUTPUTS) +
                       (p->constants.fast_shift ? 0 : 7);
    s->shape->strip(run);
    run->output += TRECX_STRIP_OUTPUTS * p->channels;
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

void trecx_depthwise(const trecx_depthwise_conv2d_s8_3x3_params *params,
                     const trecx_depthwise_shape *shape, const int8_t *input, int8_t *output,
                     void *scratch) {
  const params_t *const p = params;
  state s;
  start(p, shape, &s, scratch);
  input = align_overlap(p, input, output);
  for (int32_t channel = 0; channel < p->channels; channel += 4) {
    const int32_t last = p->channels - 4; /* an incomplete group is spread with its predecessors */
    channel_group(p, &s, input, output, channel < last ? channel : last, channel);
  }
  trecx_clamp_bytes(output, p->output_height * p->output_width * p->channels, p->activation_min,
                    p->activation_max);
}
