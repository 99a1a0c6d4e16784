/* Included by rowpair_inner.h. */
#ifndef TRECX_DSP_ROWPAIR_PORTABLE_H
#define TRECX_DSP_ROWPAIR_PORTABLE_H

#include "trecx/dsp/wide_requantize.h"

/* One filter on one pixel in the part of the tile from `begin` to `end`. */
static int32_t rowpair_sum(int32_t sum, const uint32_t *weights, const uint32_t *begin,
                           const uint32_t *end) {
  for (; begin < end; begin += 2, weights += 2) sum = trecx_smlad(weights[0], begin[0], sum);
  return sum;
}

void trecx_rowpair_tile(const trecx_rowpair_run *run) {
  const uint32_t *const tile = run->tile, *const end_p = run->parts[0].tile_end;
  const uint32_t *const end_0 = run->parts[1].tile_end, *const end_1 = run->parts[2].tile_end;
  const int32_t words = (int32_t)(end_1 - tile), constants = run->fast ? 2 : 3;
  int8_t *output = run->output;
  for (const uint32_t *w = run->weights; w != run->end; w += 2 + words + 2 * constants) {
    for (int32_t filter = 0; filter < 2; filter++, output++) {
      const uint32_t *const c = w + 2 + words + filter * constants;
      const uint32_t *const first = w + 2 + filter;
      for (int32_t i = 0; i < 2; i++) {
        const int32_t p = rowpair_sum((int32_t)w[filter], first, tile + i, end_p);
        const int32_t y0 = rowpair_sum(p, first + (end_p - tile), end_p + i, end_0);
        const int32_t y1 = rowpair_sum(p, first + (end_0 - tile), end_0 + i, end_1);
        int8_t *const at = output + i * run->pixel_step;
        at[0] = trecx_wide_requantize(y0, c, run->fast);
        at[run->row_step] = trecx_wide_requantize(y1, c, run->fast);
      }
    }
  }
}

#endif
