/* Which part of a sliding window lies inside the image. */
#ifndef TRECX_KERNELS_REF_WINDOW_H
#define TRECX_KERNELS_REF_WINDOW_H

#include <stdint.h>

/* Taps begin <= k < end of a window are inside; none when begin == end. */
typedef struct {
  int32_t begin, end;
} trecx_taps;

/* Taps k < count with 0 <= start + k * dilation < size. */
static inline trecx_taps trecx_taps_inside(int32_t start, int32_t count, int32_t dilation,
                                           int32_t size) {
  trecx_taps taps = {0, count};
  while (taps.begin < taps.end && start + taps.begin * dilation < 0) taps.begin++;
  while (taps.end > taps.begin && start + (taps.end - 1) * dilation >= size) taps.end--;
  return taps;
}

#endif
