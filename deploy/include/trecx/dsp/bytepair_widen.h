/* Filling tiles (trecx/dsp/bytepair.h) from int8 inputs. */
#ifndef TRECX_DSP_BYTEPAIR_WIDEN_H
#define TRECX_DSP_BYTEPAIR_WIDEN_H

#include "trecx/dsp/arith.h"

#if defined(__ARM_FEATURE_DSP)

static inline uint32_t *trecx_bytepair_widen_3(uint32_t *tile, const int8_t *p0, const int8_t *p1,
                                               const int8_t *p2, int32_t groups) {
  __asm__ volatile(
      "1:\n\t"
      "ldr r8, [%[p0]], #4\n\t"
      "ldr r9, [%[p1]], #4\n\t"
      "ldr r10, [%[p2]], #4\n\t"
      "sxtb16 r4, r8\n\t"
      "sxtb16 r5, r9\n\t"
      "sxtb16 r6, r10\n\t"
      "sxtb16 r8, r8, ror #8\n\t"
      "sxtb16 r9, r9, ror #8\n\t"
      "sxtb16 r10, r10, ror #8\n\t"
      "subs %[n], %[n], #1\n\t"
      "stm %[to]!, {r4, r5, r6, r8, r9, r10}\n\t"
      "bne 1b\n\t"
      : [to] "+r"(tile), [p0] "+r"(p0), [p1] "+r"(p1), [p2] "+r"(p2), [n] "+r"(groups)
      :
      : "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
  return tile;
}

static inline uint32_t *trecx_bytepair_widen_2(uint32_t *tile, const int8_t *p0, const int8_t *p1,
                                               int32_t groups) {
  __asm__ volatile(
      "1:\n\t"
      "ldr r6, [%[p0]], #4\n\t"
      "ldr r8, [%[p1]], #4\n\t"
      "sxtb16 r4, r6\n\t"
      "sxtb16 r5, r8\n\t"
      "sxtb16 r6, r6, ror #8\n\t"
      "sxtb16 r8, r8, ror #8\n\t"
      "subs %[n], %[n], #1\n\t"
      "stm %[to]!, {r4, r5, r6, r8}\n\t"
      "bne 1b\n\t"
      : [to] "+r"(tile), [p0] "+r"(p0), [p1] "+r"(p1), [n] "+r"(groups)
      :
      : "r4", "r5", "r6", "r8", "cc", "memory");
  return tile;
}

#else

static inline uint32_t *trecx_bytepair_widen_3(uint32_t *tile, const int8_t *p0, const int8_t *p1,
                                               const int8_t *p2, int32_t groups) {
  for (int32_t g = 0; g < groups; g++, tile += 6) {
    const int8_t *const pixels[3] = {p0 + 4 * g, p1 + 4 * g, p2 + 4 * g};
    for (int32_t i = 0; i < 3; i++) {
      tile[i] = trecx_lanes_02(trecx_load32(pixels[i]));
      tile[3 + i] = trecx_lanes_13(trecx_load32(pixels[i]));
    }
  }
  return tile;
}

static inline uint32_t *trecx_bytepair_widen_2(uint32_t *tile, const int8_t *p0, const int8_t *p1,
                                               int32_t groups) {
  for (; groups > 0; groups--, p0 += 4, p1 += 4) {
    const uint32_t x0 = trecx_load32(p0), x1 = trecx_load32(p1);
    *tile++ = trecx_lanes_02(x0);
    *tile++ = trecx_lanes_02(x1);
    *tile++ = trecx_lanes_13(x0);
    *tile++ = trecx_lanes_13(x1);
  }
  return tile;
}

#endif

/* Widen `groups` * 4 bytes (more than none) of each of `pixels` (2 or 3) pixels, pixel_step bytes
 * apart, to a part of a tile. Returns its end. */
static inline uint32_t *trecx_bytepair_widen(uint32_t *tile, const int8_t *pixel,
                                             int32_t pixel_step, int32_t pixels, int32_t groups) {
  const int8_t *const second = pixel + pixel_step;
  if (pixels == 3) return trecx_bytepair_widen_3(tile, pixel, second, second + pixel_step, groups);
  return trecx_bytepair_widen_2(tile, pixel, second, groups);
}

#endif
