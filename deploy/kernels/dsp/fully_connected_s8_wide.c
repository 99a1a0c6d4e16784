#include "trecx/dsp/dense_wide_inner.h"
#include "trecx/kernels/fully_connected_s8_dsp.h"

typedef trecx_fully_connected_s8_wide_params params_t;

#define UNITS TRECX_DENSE_WIDE_UNITS

static inline int8_t fast(int32_t sum, int32_t multiplier, int32_t offset) {
  const int32_t y = trecx_smmla(sum, multiplier, offset);
  return (int8_t)trecx_half_to_s8(y >> (TRECX_DENSE_WIDE_FAST_SHIFT - 1));
}

static inline int8_t general(int32_t doubled, int32_t multiplier, int32_t offset, int32_t shift) {
  const int32_t y = trecx_smmlar(doubled, multiplier, offset + (doubled >> 31));
  return (int8_t)trecx_half_to_s8(y >> shift);
}

/* Requantise the sums of six units. */
static inline void finish(const params_t *p, const int32_t *sums, int8_t *output) {
  const int32_t multiplier = p->multiplier, offset = p->offset, shift = p->shift;
  if (p->fast) {
#pragma GCC unroll 6
    for (int32_t i = 0; i < UNITS; i++) output[i] = fast(sums[i], multiplier, offset);
  } else {
#pragma GCC unroll 6
    for (int32_t i = 0; i < UNITS; i++) output[i] = general(sums[i], multiplier, offset, shift);
  }
}

static void row(const params_t *p, const void *input, const void *end, int8_t *output,
                void (*dot)(trecx_dense_wide_run *run)) {
  trecx_dense_wide_run run;
  run.weights = p->weights;
  run.skip = (uint32_t)-(p->inputs >> 2) & 7u;
  run.end = end;
  for (int32_t unit = 0; unit < p->units; unit += UNITS, output += UNITS) {
    const int32_t left = p->units - unit;
    run.bias = p->bias + unit;
    run.input = input;
    dot(&run);
    if (left >= UNITS) {
      finish(p, run.sums, output);
    } else {
      int8_t last[UNITS];
      finish(p, run.sums, last);
      for (int32_t i = 0; i < left; i++) output[i] = last[i];
    }
  }
}

static void widen(const int8_t *input, int32_t groups, uint32_t *words) {
  for (; groups > 0; groups--, input += 4) {
    const uint32_t bytes = trecx_load32(input);
    *words++ = trecx_lanes_02(bytes);
    *words++ = trecx_lanes_13(bytes);
  }
}

void trecx_fully_connected_s8_wide(const trecx_fully_connected_s8_wide_params *params,
                                   const int8_t *input, int8_t *output, void *scratch) {
  const params_t *const p = params;
  for (int32_t r = 0; r < p->rows; r++) {
    if (p->widen) {
      widen(input, p->inputs >> 2, scratch);
      row(p, scratch, (uint32_t *)scratch + (p->inputs >> 1), output, trecx_dense_wide_words);
    } else {
      row(p, input, input + p->inputs, output, trecx_dense_wide_bytes);
    }
    input += p->inputs;
    output += p->units;
  }
  output -= p->rows * p->units;
  trecx_clamp_bytes(output, p->rows * p->units, p->activation_min, p->activation_max);
}
