#include "trecx/dsp/bytepair_widen.h"
#include "trecx/kernels/conv2d_s8_dsp.h"

void trecx_conv2d_1x1_s8_bytepair(const trecx_conv2d_1x1_s8_bytepair_params *params,
                                  const int8_t *input, int8_t *output, void *scratch) {
  const trecx_conv2d_1x1_s8_bytepair_params *const p = params;
  const int32_t channels = 4 * p->layer.groups;
  const int32_t single = p->pixels == 1;
  trecx_bytepair_run run;
  trecx_bytepair_start(&run, &p->layer, single ? 0 : p->layer.channels, scratch);
  run.output = output;
  for (int32_t left = p->pixels; left > 0;) {
    const int32_t pixels = trecx_bytepair_tile_pixels(left);
    trecx_bytepair_widen(run.tile, input, single ? 0 : channels, pixels, p->layer.groups);
    trecx_bytepair_tile(&run, pixels);
    left -= pixels;
    input += pixels * channels;
  }
  trecx_clamp_bytes(output, p->pixels * p->layer.channels, p->activation_min, p->activation_max);
}
