#include "trecx/kernels/max_pool_s8.h"

#include "trecx/arith.h"
#include "window.h"

/* input: the first value inside the window. */
static int32_t max_of(const int8_t *input, int32_t height, int32_t width, int32_t row_step,
                      int32_t step) {
  int32_t largest = INT8_MIN;
  for (int32_t y = 0; y < height; y++, input += row_step) {
    for (int32_t x = 0; x < width; x++) {
      if (input[x * step] > largest) largest = input[x * step];
    }
  }
  return largest;
}

void trecx_max_pool_s8(const trecx_max_pool_s8_params *params, const int8_t *input, int8_t *output,
                       void *scratch) {
  const trecx_max_pool_s8_params *p = params;
  const int32_t row_step = p->input_width * p->channels;
  (void)scratch;
  for (int32_t y = 0; y < p->output_height; y++) {
    const int32_t top = y * p->stride_height - p->pad_top;
    const trecx_taps ky = trecx_taps_inside(top, p->filter_height, 1, p->input_height);
    const int32_t height = ky.end - ky.begin;
    for (int32_t x = 0; x < p->output_width; x++) {
      const int32_t left = x * p->stride_width - p->pad_left;
      const trecx_taps kx = trecx_taps_inside(left, p->filter_width, 1, p->input_width);
      const int32_t width = kx.end - kx.begin;
      const int8_t *in = input + (top + ky.begin) * row_step + (left + kx.begin) * p->channels;
      for (int32_t c = 0; c < p->channels; c++) {
        const int32_t value = max_of(in + c, height, width, row_step, p->channels);
        *output++ = (int8_t)trecx_clamp(value, p->activation_min, p->activation_max);
      }
    }
  }
}
