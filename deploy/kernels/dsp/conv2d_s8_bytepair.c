#include "trecx/kernels/conv2d_s8_dsp.h"

static void output_row(const trecx_conv2d_s8_bytepair_params *p, trecx_bytepair_run *run,
                       const trecx_window_state *s) {
  const int32_t column = p->window.stride_width * p->window.input_channels;
  const int32_t step = p->window.output_width == 1 ? 0 : column;
  int32_t offset = 0;
  for (int32_t left = p->window.output_width; left > 0;) {
    const int32_t pixels = trecx_bytepair_tile_pixels(left);
    trecx_window_gather(&p->window, s, offset, step, pixels, run->tile);
    trecx_bytepair_tile(run, pixels);
    left -= pixels;
    offset += pixels * column;
  }
}

void trecx_conv2d_s8_bytepair(const trecx_conv2d_s8_bytepair_params *params, const int8_t *input,
                              int8_t *output, void *scratch) {
  const trecx_conv2d_s8_bytepair_params *const p = params;
  const trecx_window *const w = &p->window;
  const int32_t channels = p->layer.channels, row_values = w->output_width * channels;
  trecx_bytepair_run run;
  trecx_window_state s;
  trecx_bytepair_start(&run, &p->layer, w->output_width == 1 ? 0 : channels, scratch);
  trecx_window_start(w, &s, run.tile + 6 * p->layer.groups);
  for (int32_t y = 0; y < w->output_height; y++) {
    run.output = output + y * row_values;
    trecx_window_read(w, &s, input, y);
    output_row(p, &run, &s);
  }
  trecx_clamp_bytes(output, w->output_height * row_values, p->activation_min, p->activation_max);
}
