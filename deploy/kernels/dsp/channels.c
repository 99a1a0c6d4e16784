#include "trecx/dsp/arith.h"

void trecx_dsp_first_channel(trecx_dsp_cursor *cursor, const trecx_dsp_channels *channels) {
  const int32_t twice_zero = 2 * channels->zero_point + 1;
  const int32_t fast = channels->fast_shift;
  cursor->packed = channels->packed;
  cursor->exception = channels->exceptions;
  cursor->index = 0;
  cursor->exceptions_left = channels->exception_count;
  cursor->least_shift = channels->least_shift;
  cursor->fast = fast;
  cursor->level = fast ? twice_zero * (1 << (fast - 1)) : twice_zero;
}

static void unpack(const trecx_dsp_cursor *cursor, trecx_dsp_channel *channel) {
  const uint32_t low = trecx_load32(cursor->packed), high = trecx_load32(cursor->packed + 3);
  const int32_t shift = cursor->least_shift + (int32_t)(high >> 7 & 7u);
  channel->bias = (int32_t)high >> 10;
  channel->requant.multiplier = (int32_t)(low & 0x7FFFFFFFu);
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
