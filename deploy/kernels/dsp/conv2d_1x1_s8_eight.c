#include "trecx/dsp/eight_inner.h"
#include "trecx/kernels/conv2d_s8_dsp.h"

static void prepare_filter(const trecx_conv2d_1x1_s8_eight_params *p, int32_t index,
                           trecx_eight_entry *e) {
  const int8_t *const weights = p->weights + 8 * index;
  const uint32_t first = trecx_load32(weights), second = trecx_load32(weights + 4);
  trecx_dsp_channel channel;
  trecx_dsp_unpack(&p->constants, index, 1, &channel);
  const int32_t shift = channel.requant.shift + 1;
  e->bias = channel.bias * (1 << shift);
  e->weights[0] = trecx_shift_lanes(trecx_lanes_02(first), shift);
  e->weights[1] = trecx_shift_lanes(trecx_lanes_13(first), shift);
  e->weights[2] = trecx_shift_lanes(trecx_lanes_02(second), shift);
  e->weights[3] = trecx_shift_lanes(trecx_lanes_13(second), shift);
  e->multiplier = channel.requant.multiplier;
  e->offset = channel.requant.offset;
}

void trecx_conv2d_1x1_s8_eight(const trecx_conv2d_1x1_s8_eight_params *params, const int8_t *input,
                               int8_t *output, void *scratch) {
  const trecx_conv2d_1x1_s8_eight_params *const p = params;
  trecx_eight_entry *const entries = scratch;
  const trecx_eight_run run = {.channels = p->channels,
                               .end = entries + p->channels,
                               .entries = entries,
                               .input = input,
                               .pixel_pairs = p->pixels >> 1,
                               .output = output};
  for (int32_t c = 0; c < p->channels; c++) prepare_filter(p, c, &entries[c]);
  trecx_eight_pixel_pairs(&run);
  trecx_clamp_bytes(output, p->pixels * p->channels, p->activation_min, p->activation_max);
}
