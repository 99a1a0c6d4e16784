/* The requantisation of trecx/dsp/wide.h in plain C. */
#ifndef TRECX_DSP_WIDE_REQUANTIZE_H
#define TRECX_DSP_WIDE_REQUANTIZE_H

#include "trecx/dsp/wide.h"

/* constants: multiplier, offset and in the general form the shift. */
static inline int8_t trecx_wide_requantize(int32_t sum, const uint32_t *constants, int32_t fast) {
  const int32_t multiplier = (int32_t)constants[0], offset = (int32_t)constants[1];
  if (fast) {
    const int32_t y = trecx_smmla(sum, multiplier, offset);
    return (int8_t)trecx_half_to_s8(y >> (TRECX_WIDE_FAST_SHIFT - 1));
  }
  const int32_t y = trecx_smmlar(sum, multiplier, offset + (sum >> 31));
  return (int8_t)trecx_half_to_s8(y >> constants[2]);
}

#endif
