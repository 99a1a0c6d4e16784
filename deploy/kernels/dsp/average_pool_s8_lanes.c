#include "trecx/dsp/arith.h"
#include "trecx/kernels/average_pool_s8_dsp.h"

typedef trecx_average_pool_s8_params params_t;

/* The part of a window inside the image: sizes, and bytes to its first value. */
typedef struct {
  int32_t height, width, start;
} window;

static int32_t largest(int32_t a, int32_t b) {
  return a > b ? a : b;
}

static int32_t smallest(int32_t a, int32_t b) {
  return a < b ? a : b;
}

static window window_at(const params_t *p, int32_t top, int32_t left) {
  const int32_t y = largest(top, 0), x = largest(left, 0);
  const window w = {smallest(top + p->filter_height, p->input_height) - y,
                    smallest(left + p->filter_width, p->input_width) - x,
                    (y * p->input_width + x) * p->channels};
  return w;
}

/* Add four channels to the lanes of channels 0 and 2, 1 and 3. */
static inline void add_value(const int8_t *input, uint32_t sums[2]) {
  const uint32_t values = trecx_load32(input);
  sums[0] = trecx_add_lanes_02(sums[0], values);
  sums[1] = trecx_add_lanes_13(sums[1], values);
}

/* Of a window; at most 255 values of eight bits. Whole rows are one long row. */
static void sum_four(const params_t *p, const window *w, const int8_t *input, uint32_t sums[2]) {
  const int32_t whole = w->width == p->input_width, step = p->channels;
  const int32_t width = whole ? w->width * w->height : w->width;
  uint32_t found[2] = {0, 0};
  for (int32_t y = whole ? 1 : w->height; y > 0; y--, input += p->input_width * step) {
    const int8_t *from = input;
    for (int32_t left = width; left > 0; left--, from += step) add_value(from, found);
  }
  sums[0] = found[0];
  sums[1] = found[1];
}

/* sum / count, rounded to nearest, ties away from zero, limited to the activation. */
static __attribute__((noinline)) int8_t mean(const params_t *p, int32_t sum, int32_t count) {
  const int32_t half = count >> 1;
  const int32_t value = (sum > 0 ? sum + half : sum - half) / count;
  return (int8_t)smallest(largest(value, p->activation_min), p->activation_max);
}

void trecx_average_pool_s8_lanes(const trecx_average_pool_s8_params *params, const int8_t *input,
                                 int8_t *output, void *scratch) {
  const params_t *const p = params;
  (void)scratch;
  for (int32_t y = 0; y < p->output_height; y++) {
    for (int32_t x = 0; x < p->output_width; x++) {
      const window w =
          window_at(p, y * p->stride_height - p->pad_top, x * p->stride_width - p->pad_left);
      const int32_t count = w.height * w.width;
      for (int32_t c = 0; c < p->channels; c += 4) {
        uint32_t sums[2];
        sum_four(p, &w, input + w.start + c, sums);
        *output++ = mean(p, (int16_t)sums[0], count);
        *output++ = mean(p, (int16_t)sums[1], count);
        *output++ = mean(p, (int32_t)sums[0] >> 16, count);
        *output++ = mean(p, (int32_t)sums[1] >> 16, count);
      }
    }
  }
}
