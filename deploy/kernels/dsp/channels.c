#include "trecx/dsp/arith.h"

/* mantissa, 24 bits, times the ratio, 64 bits, rounded to the upper 31 bits. */
static inline int32_t multiplier_of(uint32_t mantissa, uint32_t ratio_high, uint32_t ratio_low) {
  const uint32_t low = (uint32_t)(((uint64_t)mantissa * ratio_low) >> 32);
  const uint64_t product = (uint64_t)mantissa * ratio_high + low; /* 55 or 56 bits */
  const uint32_t upper = (uint32_t)(product >> 32);
  const uint32_t drop = 23 + (upper >> 23);
  return (int32_t)(((upper << (32 - drop) | (uint32_t)product >> drop) + 1) >> 1);
}

/* Replace the channels that are exceptions. */
static void apply_exceptions(const trecx_dsp_channels *c, int32_t first, int32_t count,
                             trecx_dsp_channel *unpacked) {
  const int32_t *e = c->exceptions;
  for (int32_t left = c->exception_count; left > 0; left--, e += TRECX_DSP_EXCEPTION_WORDS) {
    const int32_t i = e[0] - first;
    if (i >= 0 && i < count) {
      const trecx_dsp_requant requant = {e[2], e[3], e[4]};
      unpacked[i].bias = e[1];
      unpacked[i].requant = requant;
    }
  }
}

void trecx_dsp_unpack(const trecx_dsp_channels *channels, int32_t first, int32_t count,
                      trecx_dsp_channel *unpacked) {
  const uint8_t *packed = channels->packed + TRECX_DSP_CHANNEL_BYTES * first;
  const uint32_t ratio_high = channels->ratio_high, ratio_low = channels->ratio_low;
  const int32_t least_shift = channels->least_shift, fast = channels->fast_shift;
  const int32_t twice_zero = 2 * channels->zero_point + 1;
  const int32_t level = fast ? twice_zero * (1 << (fast - 1)) : twice_zero;
  for (int32_t i = 0; i < count; i++, packed += TRECX_DSP_CHANNEL_BYTES) {
    const uint32_t low = trecx_load32(packed), high = trecx_load32(packed + 2);
    const int32_t shift = least_shift + (int32_t)(low >> 23 & 7u);
    const uint32_t mantissa = (low & 0x7FFFFFu) | 0x800000u;
    unpacked[i].bias = (int32_t)high >> 10;
    unpacked[i].requant.multiplier = multiplier_of(mantissa, ratio_high, ratio_low);
    unpacked[i].requant.offset = fast ? level + (int32_t)(1u << shift >> 1) : level * (1 << shift);
    unpacked[i].requant.shift = shift;
  }
  if (channels->exception_count > 0) apply_exceptions(channels, first, count, unpacked);
}
