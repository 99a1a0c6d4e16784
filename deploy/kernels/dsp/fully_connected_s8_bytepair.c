#include "trecx/dsp/dense_inner.h"
#include "trecx/kernels/fully_connected_s8_dsp.h"

typedef trecx_fully_connected_s8_bytepair_params params_t;

#define UNITS_AT_ONCE 6

typedef void (*dot_function)(trecx_dense_run *run);

/* Sums begin with the biases: S = 256 * B + A. */
static inline void start(const int32_t *bias_shift, int32_t *sums, int32_t units) {
  for (int32_t i = 0; i < units; i += 2) {
    const int32_t a = bias_shift[i] >> 5, b = bias_shift[i + 1] >> 5;
    sums[i + 1] = a;
    sums[i] = (int32_t)(((uint32_t)b << 8) + (uint32_t)a);
  }
}

/* The last inputs, fewer than four: what is behind them meets zero weights. */
static void last_group(const params_t *p, const int8_t *input, trecx_dense_run *run,
                       dot_function dot) {
  int8_t last[4] = {0};
  for (int32_t i = 0; i < (p->inputs & 3); i++) last[i] = input[(p->inputs & ~3) + i];
  run->input = last;
  run->groups = 1;
  dot(run);
}

/* Sums of six units, or of two. */
static void sums_of(const params_t *p, const int8_t *input, trecx_dense_run *run,
                    dot_function dot) {
  run->input = input;
  run->groups = p->inputs >> 2;
  if (run->groups > 0) dot(run);
  if (p->inputs & 3) last_group(p, input, run, dot);
}

static inline int8_t requantized(int32_t sum, int32_t multiplier, int32_t offset, int32_t shift) {
  const trecx_dsp_requant q = {multiplier, offset, shift};
  return (int8_t)trecx_dsp_requantize(sum, &q);
}

/* The sum of one unit out of its pair's. */
static inline int32_t sum_of(const int32_t *sums, int32_t i) {
  if ((i & 1) == 0) return sums[i + 1];
  return (int32_t)((uint32_t)sums[i - 1] - (uint32_t)sums[i]) >> 8;
}

/* Requantise the sums of the units from `unit` on. */
static inline void finish(const params_t *p, int32_t unit, const int32_t *sums, int32_t units,
                          int8_t *output) {
  const int32_t *const bias_shift = p->bias_shift + unit, *multiplier = p->multiplier;
  const int32_t level = 2 * p->output_zero_point + 1;
  if (p->one_multiplier) { /* and then one shift */
    const int32_t shift = bias_shift[0] & 31, offset = level * (1 << shift);
    const int32_t only = multiplier[0];
#pragma GCC unroll 6
    for (int32_t i = 0; i < units; i++) {
      output[i] = requantized(sum_of(sums, i), only, offset, shift);
    }
  } else {
    multiplier += unit;
    for (int32_t i = 0; i < units; i++) {
      const int32_t shift = bias_shift[i] & 31;
      output[i] = requantized(sum_of(sums, i), multiplier[i], level * (1 << shift), shift);
    }
  }
}

static void row(const params_t *p, const int8_t *input, int8_t *output, const uint32_t *widened) {
  trecx_dense_run run;
  int32_t unit = 0;
  run.weights = p->weights;
  for (; unit + UNITS_AT_ONCE <= p->units; unit += UNITS_AT_ONCE) {
    start(p->bias_shift + unit, run.sums, UNITS_AT_ONCE);
    if (widened) {
      run.input = widened;
      run.groups = p->inputs >> 2;
      trecx_dense_widened(&run);
    } else {
      sums_of(p, input, &run, trecx_dense_bytes);
    }
    finish(p, unit, run.sums, UNITS_AT_ONCE, output + unit);
  }
  for (; unit < p->units; unit += 2) {
    int8_t pair[2];
    start(p->bias_shift + unit, run.sums, 2);
    sums_of(p, input, &run, trecx_dense_pair);
    finish(p, unit, run.sums, 2, pair);
    output[unit] = pair[0];
    if (unit + 1 < p->units) output[unit + 1] = pair[1];
  }
}

static void widen(const int8_t *input, int32_t groups, uint32_t *words) {
  for (; groups > 0; groups--, input += 4) {
    const uint32_t bytes = trecx_load32(input);
    *words++ = trecx_lanes_02(bytes);
    *words++ = trecx_lanes_13(bytes);
  }
}

void trecx_fully_connected_s8_bytepair(const trecx_fully_connected_s8_bytepair_params *params,
                                       const int8_t *input, int8_t *output, void *scratch) {
  const params_t *const p = params;
  for (int32_t r = 0; r < p->rows; r++) {
    if (p->widen) widen(input, p->inputs >> 2, scratch);
    row(p, input, output, p->widen ? scratch : 0);
    input += p->inputs;
    output += p->units;
  }
  output -= p->rows * p->units;
  trecx_clamp_bytes(output, p->rows * p->units, p->activation_min, p->activation_max);
}
