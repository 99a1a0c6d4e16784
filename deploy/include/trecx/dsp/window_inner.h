/* For dsp/conv2d_s8_wide.c: the gathering of two windows of 3x3 pixels with three channels, where
 * many networks begin: assembly, or plain C where there is no DSP extension. Of every row of nine
 * bytes two groups go to the tile at once; the group of the three last bytes follows. The fourth
 * lane of that group is rubbish, which meets a zero weight. */
#ifndef TRECX_DSP_WINDOW_INNER_H
#define TRECX_DSP_WINDOW_INNER_H

#include "trecx/dsp/bytepair_widen.h"

#if defined(__ARM_FEATURE_DSP)

/* clang-format off */

/* Two groups of the row at ROW for both pixels. r2 step, r3 tile. */
#define WINDOW_NINE(ROW)              \
  "add r12, " ROW ", r2\n\t"          \
  "ldr r4, [" ROW "]\n\t"             \
  "ldr r5, [r12]\n\t"                 \
  "ldr r8, [" ROW ", #4]\n\t"         \
  "ldr r9, [r12, #4]\n\t"             \
  "sxtb16 r0, r4\n\t"                 \
  "sxtb16 r1, r5\n\t"                 \
  "sxtb16 r4, r4, ror #8\n\t"         \
  "sxtb16 r5, r5, ror #8\n\t"         \
  "sxtb16 r6, r8\n\t"                 \
  "sxtb16 r7, r9\n\t"                 \
  "sxtb16 r8, r8, ror #8\n\t"         \
  "sxtb16 r9, r9, ror #8\n\t"         \
  "stm r3!, {r0, r1, r4-r9}\n\t"

/* The last bytes of a pixel's rows r10, r11, lr as lanes (0, 2) and (1, 3). */
#define WINDOW_LAST(LANES_02, LANES_13)                    \
  "ldrsb " LANES_02 ", [r10, #8]\n\t"                      \
  "ldrsb r12, [lr, #8]\n\t"                                \
  "ldrsb " LANES_13 ", [r11, #8]\n\t"                      \
  "pkhbt " LANES_02 ", " LANES_02 ", r12, lsl #16\n\t"

static __attribute__((naked, noinline)) void trecx_window_gather_3x3x3(
    const int8_t *const rows[3] __attribute__((unused)), int32_t offset __attribute__((unused)),
    int32_t step __attribute__((unused)), uint32_t *tile __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldm r0, {r10, r11, lr}\n\t"
      "add r10, r10, r1\n\t"
      "add r11, r11, r1\n\t"
      "add lr, lr, r1\n\t"
      WINDOW_NINE("r10") WINDOW_NINE("r11") WINDOW_NINE("lr")
      WINDOW_LAST("r0", "r4")
      "add r10, r10, r2\n\t"
      "add r11, r11, r2\n\t"
      "add lr, lr, r2\n\t"
      WINDOW_LAST("r1", "r5")
      "stm r3!, {r0, r1, r4, r5}\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* clang-format on */

#else

static inline void trecx_window_gather_3x3x3(const int8_t *const rows[3], int32_t offset,
                                             int32_t step, uint32_t *tile) {
  for (int32_t ky = 0; ky < 3; ky++) {
    const int8_t *const row = rows[ky] + offset;
    tile = trecx_bytepair_widen_2(tile, row, row + step, 2);
  }
  for (int32_t i = 0; i < 2; i++) {
    const int32_t at = offset + i * step + 8;
    tile[i] = trecx_lanes((uint32_t)rows[0][at], (uint32_t)rows[2][at]);
    tile[2 + i] = (uint32_t)rows[1][at];
  }
}

#endif

#endif
