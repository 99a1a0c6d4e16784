#include "trecx/dsp/bytepair_widen.h"
#include "trecx/dsp/rowpair_inner.h"
#include "trecx/kernels/conv2d_s8_dsp.h"

typedef trecx_conv2d_s8_rowpair_params params_t;

/* The part of the tile that ends `words` words from its beginning and has `groups` groups left. */
static trecx_rowpair_part part(const uint32_t *tile, int32_t words, int32_t groups) {
  const trecx_rowpair_part found = {(uint32_t)-groups & 15u, tile + words};
  return found;
}

static void start(const params_t *p, trecx_rowpair_run *run, int8_t *output, void *scratch) {
  const int32_t groups = p->layer.groups, pair_words = 20 * groups + (p->layer.fast ? 6 : 8);
  run->output = output;
  run->pixel_step = p->layer.channels;
  run->row_step = p->window.output_width * p->layer.channels;
  run->end = p->layer.weights + (p->layer.channels >> 1) * pair_words;
  run->tile = scratch;
  run->fast = p->layer.fast;
  run->weights = p->layer.weights;
  run->parts[0] = part(run->tile, 4 * groups, groups - 1);
  run->parts[1] = part(run->tile, 12 * groups, 2 * groups);
  run->parts[2] = part(run->tile, 20 * groups, 2 * groups);
  if (groups == 1) run->parts[0].skip = 16;
}

/* Inputs at `from` less those at `less`, for two pixels. */
static uint32_t *widen_difference(uint32_t *tile, const int8_t *from, const int8_t *less,
                                  int32_t step, int32_t groups) {
  for (; groups > 0; groups--, from += 4, less += 4, tile += 4) {
    const uint32_t x0 = trecx_load32(from), x1 = trecx_load32(from + step);
    const uint32_t y0 = trecx_load32(less), y1 = trecx_load32(less + step);
    tile[0] = trecx_sub_lanes(trecx_lanes_02(x0), trecx_lanes_02(y0));
    tile[1] = trecx_sub_lanes(trecx_lanes_02(x1), trecx_lanes_02(y1));
    tile[2] = trecx_sub_lanes(trecx_lanes_13(x0), trecx_lanes_13(y0));
    tile[3] = trecx_sub_lanes(trecx_lanes_13(x1), trecx_lanes_13(y1));
  }
  return tile;
}

static void gather(const params_t *p, const trecx_window_state *s, int32_t offset, uint32_t *tile) {
  const int32_t step = p->window.stride_width * p->window.input_channels;
  const int32_t groups = p->layer.groups;
  const int8_t *const *const rows = s->rows;
  const int8_t *const middle = rows[2] + offset;
  tile = trecx_bytepair_widen(tile, middle, step, 2, groups);
  tile = widen_difference(tile, rows[0] + offset, middle, step, groups);
  tile = trecx_bytepair_widen(tile, rows[1] + offset, step, 2, groups);
  tile = widen_difference(tile, rows[4] + offset, middle, step, groups);
  trecx_bytepair_widen(tile, rows[3] + offset, step, 2, groups);
}

void trecx_conv2d_s8_rowpair(const trecx_conv2d_s8_rowpair_params *params, const int8_t *input,
                             int8_t *output, void *scratch) {
  const params_t *const p = params;
  const trecx_window *const w = &p->window;
  const int32_t column = w->stride_width * w->input_channels;
  trecx_rowpair_run run;
  trecx_window_state s;
  start(p, &run, output, scratch);
  trecx_window_start(w, &s, run.tile + 20 * p->layer.groups);
  for (int32_t y = 0; y < w->output_height; y++) {
    trecx_window_read(w, &s, input, y);
    for (int32_t x = 0; x < w->output_width; x += 2) {
      gather(p, &s, x * column, run.tile);
      trecx_rowpair_tile(&run);
      run.output += 2 * run.pixel_step;
    }
    run.output += run.row_step;
  }
  trecx_clamp_bytes(output, 2 * w->output_height * run.row_step, p->activation_min,
                    p->activation_max);
}
