#include "trecx/dsp/wide_widen.h"
#include "trecx/kernels/conv2d_s8_dsp.h"

void trecx_conv2d_1x1_s8_wide(const trecx_conv2d_1x1_s8_wide_params *params, const int8_t *input,
                              int8_t *output, void *scratch) {
  const trecx_conv2d_1x1_s8_wide_params *const p = params;
  trecx_wide_run run;
  trecx_wide_start(&run, &p->layer, scratch);
  run.output = output;
  for (int32_t row = p->rows; row > 0; row--, input += p->row_step) {
    const int8_t *pixel = input;
    for (int32_t left = p->row_pixels; left > 0; left -= 2, pixel += 2 * p->pixel_step) {
      const int32_t pixels = left > 1 ? 2 : 1;
      trecx_wide_widen(run.tile, pixel, p->pixel_step, pixels, p->layer.groups);
      trecx_wide_pixels(&run, pixels);
    }
  }
  trecx_clamp_bytes(output, p->rows * p->row_pixels * p->layer.channels, p->activation_min,
                    p->activation_max);
}
