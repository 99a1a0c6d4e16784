#include "trecx/kernels/conv2d_s8_dsp.h"

void trecx_conv2d_1x1_s8_bytepair(const trecx_conv2d_1x1_s8_bytepair_params *params,
                                  const int8_t *input, int8_t *output, void *scratch) {
  const trecx_conv2d_1x1_s8_bytepair_params *const p = params;
  trecx_bytepair_entry *const entries = scratch;
  uint32_t *const tile = (uint32_t *)(entries + trecx_bytepair_pairs(p->output_channels));
  const int32_t groups = p->input_channels >> 2;
  const trecx_bytepair_filters filters = {p->weights, entries, groups, p->output_channels,
                                          p->round_negatives};
  const int32_t single = p->pixels == 1;
  const int32_t in_step = single ? 0 : p->input_channels;
  const int32_t out_step = single ? 0 : p->output_channels;
  trecx_bytepair_prepare(p->constants, p->output_channels, p->output_zero_point, entries);
  for (int32_t left = p->pixels; left > 0;) {
    const int32_t pixels = trecx_bytepair_tile_pixels(left);
    trecx_bytepair_widen(tile, input, in_step, pixels, groups);
    trecx_bytepair_tile(&filters, tile, pixels, output, out_step);
    trecx_clamp_bytes(output, (single ? 1 : pixels) * p->output_channels, p->activation_min,
                      p->activation_max);
    left -= pixels;
    input += pixels * p->input_channels;
    output += pixels * p->output_channels;
  }
}
