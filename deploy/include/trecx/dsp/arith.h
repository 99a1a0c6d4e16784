/* What the kernels for the Armv7E-M and Armv8-M DSP extension are made of: instructions as
 * functions, requantisation, and byte copies.
 *
 * Without the extension the same functions are plain C. They are slow; they exist so that the
 * address arithmetic of the kernels can be checked on a desktop machine under sanitizers. */
#ifndef TRECX_DSP_ARITH_H
#define TRECX_DSP_ARITH_H

#include <stdint.h>
#include <string.h>

/* --- instructions ---
 * A word holds two signed 16-bit lanes, or four signed bytes. Sums wrap modulo 2^32. */

#if defined(__ARM_FEATURE_DSP)

#include <arm_acle.h>

/* A word of two lanes. */
static inline uint32_t trecx_lanes(uint32_t low, uint32_t high) {
  uint32_t lanes;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(lanes) : "r"(low), "r"(high));
  return lanes;
}

/* Bytes 0 and 2 of a word as two lanes. */
static inline uint32_t trecx_lanes_02(uint32_t bytes) {
  return (uint32_t)__sxtb16(bytes);
}

/* Bytes 1 and 3 of a word as two lanes. */
static inline uint32_t trecx_lanes_13(uint32_t bytes) {
  uint32_t lanes;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(lanes) : "r"(bytes));
  return lanes;
}

/* Two lanes plus the bytes 0 and 2, or 1 and 3, of a word. */
static inline uint32_t trecx_add_lanes_02(uint32_t lanes, uint32_t bytes) {
  return (uint32_t)__sxtab16((int16x2_t)lanes, (int8x4_t)bytes);
}

static inline uint32_t trecx_add_lanes_13(uint32_t lanes, uint32_t bytes) {
  uint32_t sum;
  __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(sum) : "r"(lanes), "r"(bytes));
  return sum;
}

/* a - b, lane by lane. */
static inline uint32_t trecx_sub_lanes(uint32_t a, uint32_t b) {
  uint32_t difference;
  __asm__("ssub16 %0, %1, %2" : "=r"(difference) : "r"(a), "r"(b));
  return difference;
}

/* acc + a.low * b.low + a.high * b.high. */
static inline int32_t trecx_smlad(uint32_t a, uint32_t b, int32_t acc) {
  int32_t sum;
  __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
  return sum;
}

/* acc + the high half of a * b, rounded to nearest. */
static inline int32_t trecx_smmlar(int32_t a, int32_t b, int32_t acc) {
  int32_t sum;
  __asm__("smmlar %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
  return sum;
}

/* acc + the high half of a * b, rounded down. */
static inline int32_t trecx_smmla(int32_t a, int32_t b, int32_t acc) {
  int32_t sum;
  __asm__("smmla %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
  return sum;
}

/* x / 2 rounded down, limited to -128 .. 127. */
static inline int32_t trecx_half_to_s8(int32_t x) {
  int32_t y;
  __asm__("ssat %0, #8, %1, asr #1" : "=r"(y) : "r"(x));
  return y;
}

#else

static inline uint32_t trecx_lanes(uint32_t low, uint32_t high) {
  return (low & 0xFFFFu) | high << 16;
}

static inline uint32_t trecx_lanes_02(uint32_t bytes) {
  return (uint16_t)(int8_t)bytes | (uint32_t)(uint16_t)(int8_t)(bytes >> 16) << 16;
}

static inline uint32_t trecx_lanes_13(uint32_t bytes) {
  return trecx_lanes_02(bytes >> 8);
}

static inline uint32_t trecx_add_lanes_02(uint32_t lanes, uint32_t bytes) {
  const uint32_t low = (uint16_t)(lanes + (uint32_t)(int8_t)bytes);
  return low | ((lanes >> 16) + (uint32_t)(int8_t)(bytes >> 16)) << 16;
}

static inline uint32_t trecx_add_lanes_13(uint32_t lanes, uint32_t bytes) {
  return trecx_add_lanes_02(lanes, bytes >> 8);
}

static inline uint32_t trecx_sub_lanes(uint32_t a, uint32_t b) {
  return trecx_lanes(a - b, (a >> 16) - (b >> 16));
}

static inline int32_t trecx_smlad(uint32_t a, uint32_t b, int32_t acc) {
  const int32_t low = (int32_t)(int16_t)a * (int16_t)b;
  const int32_t high = (int32_t)(int16_t)(a >> 16) * (int16_t)(b >> 16);
  return (int32_t)((uint32_t)acc + (uint32_t)low + (uint32_t)high);
}

static inline int32_t trecx_smmlar(int32_t a, int32_t b, int32_t acc) {
  const int64_t product = (int64_t)a * b + INT64_C(0x80000000);
  return (int32_t)((uint32_t)acc + (uint32_t)(product >> 32));
}

static inline int32_t trecx_smmla(int32_t a, int32_t b, int32_t acc) {
  return (int32_t)((uint32_t)acc + (uint32_t)(((int64_t)a * b) >> 32));
}

static inline int32_t trecx_half_to_s8(int32_t x) {
  x >>= 1;
  return x < -128 ? -128 : x > 127 ? 127 : x;
}

#endif

/* --- requantisation ---
 * TFLM's two roundings (trecx/arith.h) of an accumulator x, for shift = -e, e >= 1, in few
 * instructions. Two forms:
 *
 * General: t = high half of (2 x * multiplier), rounded; y = (t + c) >> e, c = zp * 2^e + 2^(e-1).
 * That is the same for x >= 0. For x < 0 the reference rounds ties of the second step down, not up,
 * which is c - 1.
 *
 * Fast, where no output below the zero point survives the activation: x is shifted left before the
 * multiplication, so that the rounding of the first step goes into the offset and the second shift,
 * E, is the same for all channels: y = (high half of (x * 2^(d+1) * multiplier) + c) >> E with
 * d = E - e from 1 to 7 and c = zp * 2^E + 2^(E-1) + 2^(d-1).
 *
 * Both need |x| < 2^23. A channel outside these ranges is an exception: constants that give the
 * same outputs for all inputs that can occur, found and checked when the model is compiled. */

typedef struct {
  int32_t multiplier;
  int32_t offset; /* c */
  int32_t shift;  /* general: e - 1, the last bit is shifted out with the saturation; fast: d */
} trecx_dsp_requant;

/* A channel's constants. bias: with the input's zero point folded in. */
typedef struct {
  int32_t bias;
  trecx_dsp_requant requant;
} trecx_dsp_channel;

#define TRECX_DSP_CHANNEL_BYTES 6
#define TRECX_DSP_EXCEPTION_WORDS 5

/* The constants of a layer in flash.
 * packed: six bytes a channel; from the lowest bit on: the mantissa of the weight scale without its
 *   leading one in 23 bits, the shift less least_shift in 3, the bias in 22.
 * ratio: input scale / output scale times a power of two, in 2^63 .. 2^64 - 1; the multiplier is
 * the product with the mantissa, rounded to 31 bits. exceptions: [exception_count][5] in ascending
 * order: channel, bias, multiplier, offset, shift; they replace what is packed. zero_point: of the
 * output. fast_shift: E, or 0 for the general form. */
typedef struct {
  const uint8_t *packed;
  const int32_t *exceptions;
  uint32_t ratio_high, ratio_low;
  int16_t exception_count;
  int16_t least_shift;
  int16_t zero_point;
  int16_t fast_shift;
} trecx_dsp_channels;

/* The constants of `count` channels from `first` on (dsp/channels.c). */
void trecx_dsp_unpack(const trecx_dsp_channels *channels, int32_t first, int32_t count,
                      trecx_dsp_channel *unpacked);

/* General form, limited to int8. */
static inline int32_t trecx_dsp_requantize(int32_t x, const trecx_dsp_requant *q) {
  const int32_t doubled = (int32_t)((uint32_t)x << 1);
  return trecx_half_to_s8(trecx_smmlar(doubled, q->multiplier, q->offset + (x >> 31)) >> q->shift);
}

/* --- lanes and memory --- */

/* Each lane times 2^shift. */
static inline uint32_t trecx_shift_lanes(uint32_t lanes, int32_t shift) {
  return trecx_lanes(lanes << shift, (lanes >> 16) << shift);
}

/* Four bytes at any address. */
static inline uint32_t trecx_load32(const void *address) {
  uint32_t word;
  memcpy(&word, address, sizeof word);
  return word;
}

/* The empty assembly keeps the compiler from making library calls of short loops. */

static inline void trecx_copy_bytes(int8_t *to, const int8_t *from, int32_t count) {
  for (; count >= 16; count -= 16) {
    memcpy(to, from, 16);
    to += 16;
    from += 16;
  }
  for (; count > 0; count--) {
    *to++ = *from++;
    __asm__("" : "+r"(to));
  }
}

static inline void trecx_fill_bytes(int8_t *to, int8_t value, int32_t count) {
  const uint32_t word = (uint8_t)value * 0x01010101u;
  for (; count >= 4; count -= 4) {
    memcpy(to, &word, 4);
    to += 4;
    __asm__("" : "+r"(to));
  }
  for (; count > 0; count--) {
    *to++ = value;
    __asm__("" : "+r"(to));
  }
}

/* Does nothing for the whole int8 range, which is by far the most frequent case. */
static inline void trecx_clamp_bytes(int8_t *data, int32_t count, int32_t low, int32_t high) {
  if (low == -128 && high == 127) return;
  for (; count > 0; count--, data++) {
    if (*data < low) *data = (int8_t)low;
    if (*data > high) *data = (int8_t)high;
  }
}

#endif
