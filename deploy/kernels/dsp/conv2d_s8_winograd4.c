#include "trecx/dsp/winograd4_inner.h"
#include "trecx/kernels/conv2d_s8_dsp.h"

typedef trecx_conv2d_s8_winograd4_params params_t;

/* Parts of the scratch memory, and sizes derived from the parameters.
 * tiles: two neighbours at a time, for each point [group][2 words of lanes][2 tiles].
 * ring: the six padded input rows of a row of tiles, in order. */
typedef struct {
  trecx_dsp_channel *channels;
  int32_t *sums;
  uint32_t *temporary;
  uint32_t *tiles;
  int8_t *ring;
  int32_t tile_count; /* in a row */
  int32_t pair_words; /* of two transformed tiles */
} state;

static void start(const params_t *p, state *s, void *scratch) {
  s->tile_count = p->output_width >> 2;
  s->pair_words = TRECX_WINOGRAD4_POINTS * p->input_channels;
  s->channels = scratch;
  s->sums = (int32_t *)(s->channels + p->output_channels);
  s->temporary = (uint32_t *)(s->sums + 4 * TRECX_WINOGRAD4_POINTS);
  s->tiles = s->temporary + TRECX_WINOGRAD4_POINTS;
  s->ring = (int8_t *)(s->tiles + ((s->tile_count + 1) >> 1) * s->pair_words);
  trecx_dsp_unpack(&p->constants, 0, p->output_channels, s->channels);
  if (p->constants.fast_shift) { /* the sums arrive times 64 */
    for (int32_t c = 0; c < p->output_channels; c++) {
      s->channels[c].requant.shift = 5 - s->channels[c].requant.shift;
    }
  }
  trecx_fill_bytes(s->ring, (int8_t)p->input_zero_point, 6 * p->row_bytes);
}

/* Row `slot` of the ring becomes the input's row y. */
static void read_row(const params_t *p, const state *s, const int8_t *input, int32_t y,
                     int32_t slot) {
  const int32_t bytes = p->input_width * p->input_channels;
  int8_t *const row = s->ring + slot * p->row_bytes + p->pad_left * p->input_channels;
  if (y >= 0 && y < p->input_height) {
    trecx_copy_bytes(row, input + y * bytes, bytes);
  } else {
    trecx_fill_bytes(row, (int8_t)p->input_zero_point, bytes);
  }
}

/* The six input rows of the row of tiles whose first output row is y; two of them are there. */
static void read_rows(const params_t *p, const state *s, const int8_t *input, int32_t y) {
  const int32_t first = y - p->pad_top;
  int32_t slot = 0;
  if (y > 0) {
    trecx_copy_bytes(s->ring, s->ring + 4 * p->row_bytes, 2 * p->row_bytes);
    slot = 2;
  }
  for (; slot < 6; slot++) read_row(p, s, input, first + slot, slot);
}

static void transform_tiles(const params_t *p, const state *s) {
  trecx_winograd4_input in = {.pixel = p->input_channels,
                              .row = p->row_bytes,
                              .temporary = s->temporary,
                              .point = 4 * p->input_channels};
  for (int32_t tile = 0; tile < s->tile_count; tile++) {
    in.input = s->ring + 4 * tile * p->input_channels;
    in.output = s->tiles + (tile >> 1) * s->pair_words + (tile & 1);
    for (int32_t c = 0; c < p->input_channels; c += 4, in.input += 4, in.output += 4) {
      trecx_winograd4_transform(&in);
    }
  }
}

/* Two filters, `tiles` neighbours (1 or 2), from `output` on. */
static void finish_tiles(const state *s, const trecx_dsp_channel *filters, int32_t tiles,
                         trecx_winograd4_output *out, int8_t *output) {
  const int32_t next_tile = 4 * out->pixel;
  out->sums = s->sums;
  for (int32_t filter = 0; filter < 2; filter++) {
    out->multiplier = filters[filter].requant.multiplier;
    out->offset = filters[filter].requant.offset;
    out->shift = filters[filter].requant.shift;
    out->output = output + filter;
    trecx_winograd4_finish(out);
    out->sums += TRECX_WINOGRAD4_POINTS;
    if (tiles > 1) {
      out->output += next_tile;
      trecx_winograd4_finish(out);
    }
    out->sums += TRECX_WINOGRAD4_POINTS;
  }
}

static void output_tiles(const params_t *p, const state *s, int8_t *output) {
  const int32_t groups = p->input_channels >> 2;
  trecx_winograd4_product product = {.skip = 16 - groups,
                                     .sums = s->sums,
                                     .end = s->sums + TRECX_WINOGRAD4_POINTS,
                                     .filters = p->weights};
  trecx_winograd4_output out = {.pixel = p->output_channels,
                                .row = p->output_width * p->output_channels,
                                .factors = trecx_winograd4_factors[0],
                                .fast = p->constants.fast_shift,
                                .temporary = (int32_t *)s->temporary};
  for (int32_t channel = 0; channel < p->output_channels; channel += 2) {
    int8_t *to = output + channel;
    product.tiles = s->tiles;
    for (int32_t left = s->tile_count; left > 0; left -= 2, to += 8 * p->output_channels) {
      trecx_winograd4_multiply(&product);
      finish_tiles(s, &s->channels[channel], left, &out, to);
      product.tiles += s->pair_words;
    }
    product.filters += TRECX_WINOGRAD4_POINTS * (2 + 4 * groups);
  }
}

void trecx_conv2d_s8_winograd4(const trecx_conv2d_s8_winograd4_params *params, const int8_t *input,
                               int8_t *output, void *scratch) {
  const params_t *const p = params;
  const int32_t row_values = p->output_width * p->output_channels;
  state s;
  start(p, &s, scratch);
  for (int32_t y = 0; y < p->output_height; y += 4) {
    read_rows(p, &s, input, y);
    transform_tiles(p, &s);
    output_tiles(p, &s, output + y * row_values);
  }
  trecx_clamp_bytes(output, p->output_height * row_values, p->activation_min, p->activation_max);
}
