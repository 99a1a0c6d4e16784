#include "trecx/dsp/arith.h"

void trecx_dsp_first_channel(trecx_dsp_cursor *cursor, const trecx_dsp_channels *channels) {
  const int32_t twice_zero = 2 * channels->zero_point + 1;
  const int32_t fast = channels->fast_shift;
  cursor->packed = channels->packed;
  cursor->exception = channels->exceptions;
  cursor->ratio_high = channels->ratio_high;
  cursor->ratio_low = channels->ratio_low;
  cursor->index = 0;
  cursor->exceptions_left = channels->exception_count;
  cursor->least_shift = channels->least_shift;
  cursor->fast = fast;
  cursor->level = fast ? twice_zero * (1 << (fast - 1)) : twice_zero;
}

/* mantissa, 24 bits, times the ratio, 64 bits, rounded to the upper 31 bits. */
static int32_t multiplier_of(const trecx_dsp_cursor *cursor, uint32_t mantissa) {
  const uint32_t low = (uint32_t)(((uint64_t)mantissa * cursor->ratio_low) >> 32);
  const uint64_t product = (uint64_t)mantissa * cursor->ratio_high + low; /* 55 or 56 bits */
  const uint32_t upper = (uint32_t)(product >> (product >> 55 ? 24 : 23));
  return (int32_t)((upper + 1) >> 1);
}

static void unpack(const trecx_dsp_cursor *cursor, trecx_dsp_channel *channel) {
  const uint32_t low = trecx_load32(cursor->packed), high = trecx_load32(cursor->packed + 2);
  const int32_t shift = cursor->least_shift + (int32_t)(low >> 23 & 7u);
  channel->bias = (int32_t)high >> 10;
  channel->requant.multiplier = multiplier_of(cursor, (low & 0x7FFFFFu) | 0x800000u);
  channel->requant.shift = shift;
  channel->requant.offset =
      cursor->fast ? cursor->level + (int32_t)(1u << shift >> 1) : cursor->level * (1 << shift);
}

void trecx_dsp_next_channel(trecx_dsp_cursor *cursor, trecx_dsp_channel *channel) {
  if (cursor->exceptions_left > 0 && cursor->exception[0] == cursor->index) {
    const int32_t *const e = cursor->exception;
    channel->bias = e[1];
    channel->requant.multiplier = e[2];
    channel->requant.offset = e[3];
    channel->requant.shift = e[4];
    cursor->exception += TRECX_DSP_EXCEPTION_WORDS;
    cursor->exceptions_left--;
  } else {
    unpack(cursor, channel);
  }
  cursor->packed += TRECX_DSP_CHANNEL_BYTES;
  cursor->index++;
}
