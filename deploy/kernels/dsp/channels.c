#include "trecx/dsp/arith.h"

void trecx_dsp_first_channel(trecx_dsp_cursor *cursor, const trecx_dsp_channels *channels) {
  cursor->channels = channels;
  cursor->packed = channels->packed;
  cursor->exception = channels->exceptions;
  cursor->index = 0;
  cursor->exceptions_left = channels->exception_count;
}

trecx_dsp_channel trecx_dsp_next_channel(trecx_dsp_cursor *cursor) {
  const trecx_dsp_channels *const c = cursor->channels;
  const uint32_t low = trecx_load32(cursor->packed), high = trecx_load32(cursor->packed + 3);
  trecx_dsp_channel channel;
  if (cursor->exceptions_left > 0 && cursor->exception[0] == cursor->index) {
    memcpy(&channel, cursor->exception + 1, sizeof channel);
    cursor->exception += TRECX_DSP_EXCEPTION_WORDS;
    cursor->exceptions_left--;
  } else {
    const int32_t shift = c->least_shift + (int32_t)(high >> 7 & 7u);
    channel.bias = (int32_t)high >> 10;
    channel.requant.multiplier = (int32_t)(low & 0x7FFFFFFFu);
    channel.requant.shift = shift;
    channel.requant.offset =
        c->fast_shift ? (2 * c->zero_point + 1) * (1 << (c->fast_shift - 1)) + (1 << shift) / 2
                      : (2 * c->zero_point + 1) * (1 << shift);
  }
  cursor->packed += TRECX_DSP_CHANNEL_BYTES;
  cursor->index++;
  return channel;
}
