/* Included by wide_inner.h. */
#ifndef TRECX_DSP_WIDE_PORTABLE_H
#define TRECX_DSP_WIDE_PORTABLE_H

#include "trecx/dsp/wide_requantize.h"

/* One filter on one pixel, `step` words from a word of lanes to its next one. */
static int32_t wide_sum(int32_t sum, const uint32_t *weights, const uint32_t *x, int32_t step,
                        int32_t words) {
  for (; words > 0; words--, x += step, weights += 2) sum = trecx_smlad(weights[0], x[0], sum);
  return sum;
}

static void wide_pixels(const trecx_wide_run *run, int32_t pixels) {
  const int32_t words = (int32_t)(run->tile_end - run->tile), constants = run->fast ? 2 : 3;
  int8_t *output = run->output;
  for (const uint32_t *w = run->weights; w != run->end; w += 2 + words + 2 * constants) {
    for (int32_t filter = 0; filter < 2; filter++, output++) {
      const uint32_t *const c = w + 2 + words + filter * constants;
      for (int32_t i = 0; i < pixels; i++) {
        const int32_t sum =
            wide_sum((int32_t)w[filter], w + 2 + filter, run->tile + i, pixels, words / 2);
        output[i * run->pixel_step] = trecx_wide_requantize(sum, c, run->fast);
      }
    }
  }
}

void trecx_wide_prepare(trecx_wide_run *run) {
  (void)run;
}

void trecx_wide_tile(const trecx_wide_run *run) {
  wide_pixels(run, 2);
}

void trecx_wide_pixel(const trecx_wide_run *run) {
  wide_pixels(run, 1);
}

#endif
