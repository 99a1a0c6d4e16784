#include "trecx/kernels/max_pool_s8.h"

#include "trecx/arith.h"

static int32_t larger(int32_t a, int32_t b) {
  return a > b ? a : b;
}

static int32_t smaller(int32_t a, int32_t b) {
  return a < b ? a : b;
}

void trecx_max_pool_s8(const trecx_max_pool_s8_params *params, const int8_t *input, int8_t *output,
                       void *scratch) {
  const trecx_max_pool_s8_params *p = params;
  (void)scratch;
  for (int32_t y = 0; y < p->output_height; y++) {
    const int32_t top = y * p->stride_height - p->pad_top;
    const int32_t y_begin = larger(top, 0);
    const int32_t y_end = smaller(top + p->filter_height, p->input_height);
    for (int32_t x = 0; x < p->output_width; x++) {
      const int32_t left = x * p->stride_width - p->pad_left;
      const int32_t x_begin = larger(left, 0);
      const int32_t x_end = smaller(left + p->filter_width, p->input_width);
      for (int32_t c = 0; c < p->channels; c++) {
        int32_t largest = INT8_MIN;
        for (int32_t in_y = y_begin; in_y < y_end; in_y++) {
          const int8_t *in = input + (in_y * p->input_width + x_begin) * p->channels + c;
          for (int32_t in_x = x_begin; in_x < x_end; in_x++, in += p->channels) {
            largest = larger(largest, *in);
          }
        }
        *output++ = (int8_t)trecx_clamp(largest, p->activation_min, p->activation_max);
      }
    }
  }
}
