#include "trecx/kernels/average_pool_s8.h"

#include "trecx/arith.h"

static int32_t larger(int32_t a, int32_t b) {
  return a > b ? a : b;
}

static int32_t smaller(int32_t a, int32_t b) {
  return a < b ? a : b;
}

/* sum / count, rounded to nearest, ties away from zero. */
static int32_t rounded_mean(int32_t sum, int32_t count) {
  const int32_t half = count / 2;
  return (sum > 0 ? sum + half : sum - half) / count;
}

void trecx_average_pool_s8(const trecx_average_pool_s8_params *params, const int8_t *input,
                           int8_t *output, void *scratch) {
  const trecx_average_pool_s8_params *p = params;
  (void)scratch;
  for (int32_t y = 0; y < p->output_height; y++) {
    const int32_t top = y * p->stride_height - p->pad_top;
    const int32_t y_begin = larger(top, 0);
    const int32_t y_end = smaller(top + p->filter_height, p->input_height);
    for (int32_t x = 0; x < p->output_width; x++) {
      const int32_t left = x * p->stride_width - p->pad_left;
      const int32_t x_begin = larger(left, 0);
      const int32_t x_end = smaller(left + p->filter_width, p->input_width);
      const int32_t count = (y_end - y_begin) * (x_end - x_begin);
      for (int32_t c = 0; c < p->channels; c++) {
        int32_t sum = 0;
        for (int32_t in_y = y_begin; in_y < y_end; in_y++) {
          const int8_t *in = input + (in_y * p->input_width + x_begin) * p->channels + c;
          for (int32_t in_x = x_begin; in_x < x_end; in_x++, in += p->channels) sum += *in;
        }
        *output++ =
            (int8_t)trecx_clamp(rounded_mean(sum, count), p->activation_min, p->activation_max);
      }
    }
  }
}
