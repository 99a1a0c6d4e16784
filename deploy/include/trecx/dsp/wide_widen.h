/* Filling tiles (trecx/dsp/wide.h) from int8 inputs. */
#ifndef TRECX_DSP_WIDE_WIDEN_H
#define TRECX_DSP_WIDE_WIDEN_H

#include "trecx/dsp/bytepair_widen.h"

/* Widen `groups` * 4 bytes (more than none) of `pixels` (2 or 1) pixels, pixel_step bytes apart, to
 * a part of a tile. Returns its end. */
static inline uint32_t *trecx_wide_widen(uint32_t *tile, const int8_t *pixel, int32_t pixel_step,
                                         int32_t pixels, int32_t groups) {
  if (pixels == 2) return trecx_bytepair_widen_2(tile, pixel, pixel + pixel_step, groups);
  for (; groups > 0; groups--, pixel += 4) {
    const uint32_t x = trecx_load32(pixel);
    *tile++ = trecx_lanes_02(x);
    *tile++ = trecx_lanes_13(x);
  }
  return tile;
}

#endif
