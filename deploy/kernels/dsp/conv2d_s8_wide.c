#include "trecx/dsp/wide_widen.h"
#include "trecx/dsp/window_inner.h"
#include "trecx/kernels/conv2d_s8_dsp.h"

/* Windows whose rows are one group, of two pixels. */
static void gather_single_groups(const trecx_window *w, const trecx_window_state *s, int32_t offset,
                                 int32_t step, uint32_t *tile) {
  for (int32_t ky = 0; ky < w->kernel_height; ky++, tile += 4) {
    const int8_t *const row = s->rows[ky];
    const uint32_t x0 = trecx_load32(row + offset), x1 = trecx_load32(row + offset + step);
    tile[0] = trecx_lanes_02(x0);
    tile[1] = trecx_lanes_02(x1);
    tile[2] = trecx_lanes_13(x0);
    tile[3] = trecx_lanes_13(x1);
  }
}

/* Windows whose rows are whole groups. */
static void gather_groups(const trecx_window *w, const trecx_window_state *s, int32_t offset,
                          int32_t step, int32_t pixels, uint32_t *tile) {
  const int32_t groups = w->run >> 2;
  if (groups == 1 && pixels == 2) {
    gather_single_groups(w, s, offset, step, tile);
    return;
  }
  for (int32_t ky = 0; ky < w->kernel_height; ky++) {
    tile = trecx_wide_widen(tile, s->rows[ky] + offset, step, pixels, groups);
  }
}

static int32_t is_3x3x3(const trecx_window *w) {
  return w->run == 9 && w->kernel_height == 3;
}

/* Other windows are always gathered in twos: a single one is computed twice. */
static void odd_rows(const trecx_window *w, trecx_wide_run *run, const trecx_window_state *s,
                     int32_t offset, int32_t step, int32_t pixels) {
  const int32_t pixel_step = run->pixel_step;
  if (pixels == 1) step = run->pixel_step = 0;
  if (is_3x3x3(w)) {
    trecx_window_gather_3x3x3(s->rows, offset, step, run->tile);
  } else {
    trecx_window_gather(w, s, offset, step, 2, run->tile);
  }
  trecx_wide_tile(run);
  run->pixel_step = pixel_step;
  run->output += pixels * pixel_step;
}

/* Where an odd number of pixels in a row leaves one over, two rows' last ones form a tile. */
typedef struct {
  trecx_wide_run run; /* of the upper row's last pixel and, a row farther, the lower one's */
  int32_t count;      /* of pixels that are there */
} last_pixels;

/* Gather a window as pixel `slot` of a tile of two. */
static void gather_one(const trecx_window *w, const trecx_window_state *s, int32_t offset,
                       uint32_t *tile, int32_t slot) {
  for (int32_t ky = 0; ky < w->kernel_height; ky++) {
    const int8_t *from = s->rows[ky] + offset;
    for (int32_t groups = w->run >> 2; groups > 0; groups--, from += 4, tile += 4) {
      const uint32_t x = trecx_load32(from);
      tile[slot] = trecx_lanes_02(x);
      tile[2 + slot] = trecx_lanes_13(x);
    }
  }
}

/* The last pixel of a row, at run->output: kept until there are two. */
static void add_last_pixel(const trecx_window *w, const trecx_wide_run *run,
                           const trecx_window_state *s, int32_t offset, last_pixels *last) {
  gather_one(w, s, offset, last->run.tile, last->count);
  if (last->count++ == 0) {
    last->run.output = run->output;
  } else {
    trecx_wide_tile(&last->run);
    last->count = 0;
  }
}

static void output_row(const trecx_window *w, trecx_wide_run *run, const trecx_window_state *s,
                       last_pixels *last, int32_t rows_left) {
  const int32_t step = w->stride_width * w->input_channels, pixel_step = run->pixel_step;
  int32_t left = w->output_width, offset = 0;
  if (is_3x3x3(w)) { /* the loop below is as good, but slower */
    for (; left > 1; left -= 2, offset += 2 * step) {
      trecx_window_gather_3x3x3(s->rows, offset, step, run->tile);
      trecx_wide_tile(run);
      run->output += 2 * pixel_step;
    }
  }
  for (; left > 0; left -= 2, offset += 2 * step) {
    const int32_t pixels = left > 1 ? 2 : 1;
    if (w->run & 3) {
      odd_rows(w, run, s, offset, step, pixels);
    } else if (pixels == 1 && (last->count || rows_left > 1)) {
      add_last_pixel(w, run, s, offset, last);
      run->output += pixel_step;
    } else {
      gather_groups(w, s, offset, step, pixels, run->tile);
      trecx_wide_pixels(run, pixels);
    }
  }
}

void trecx_conv2d_s8_wide(const trecx_conv2d_s8_wide_params *params, const int8_t *input,
                          int8_t *output, void *scratch) {
  const trecx_conv2d_s8_wide_params *const p = params;
  const trecx_window *const w = &p->window;
  const int32_t tile_words = 4 * p->layer.groups;
  const int32_t row_bytes = w->output_width * p->layer.channels;
  trecx_wide_run run;
  trecx_window_state s;
  last_pixels last = {.count = 0};
  trecx_wide_start(&run, &p->layer, scratch);
  run.output = output;
  last.run = run;
  last.run.tile = run.tile + tile_words;
  last.run.tile_end = last.run.tile + tile_words;
  last.run.pixel_step = row_bytes;
  trecx_window_start(w, &s, (void *)last.run.tile_end);
  for (int32_t y = 0; y < w->output_height; y++) {
    trecx_window_read(w, &s, input, y);
    output_row(w, &run, &s, &last, w->output_height - y);
  }
  trecx_clamp_bytes(output, w->output_height * row_bytes, p->activation_min, p->activation_max);
}
