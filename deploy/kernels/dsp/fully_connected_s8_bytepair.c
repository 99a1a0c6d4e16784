#include "trecx/dsp/dense_inner.h"
#include "trecx/kernels/fully_connected_s8_dsp.h"

typedef trecx_fully_connected_s8_bytepair_params params_t;

/* Units of a pair. */
static int32_t first_unit(const params_t *p, int32_t pair) {
  return 2 * pair - (pair > 0 ? p->units & 1 : 0);
}

static int32_t second_unit(const params_t *p, int32_t pair) {
  return p->units == 1 ? 0 : first_unit(p, pair) + 1;
}

static int8_t finish(const params_t *p, int32_t unit, int32_t sum) {
  const int32_t shift = p->bias_shift[unit] & 31;
  const trecx_dsp_requant q = {p->multiplier[unit * p->multiplier_step],
                               (2 * p->output_zero_point + 1) * (1 << shift), shift};
  const int32_t y = trecx_dsp_requantize(sum, &q);
  if (y < p->activation_min) return (int8_t)p->activation_min;
  return (int8_t)(y > p->activation_max ? p->activation_max : y);
}

/* `pairs` (3 or 1) pairs from `pair` on. */
static void units(const params_t *p, trecx_dense_run *run, const int8_t *input, int32_t pair,
                  int32_t pairs, int8_t *output) {
  void (*const dot)(trecx_dense_run *) =
      pairs == 3 ? trecx_dense_three_pairs : trecx_dense_one_pair;
  for (int32_t i = 0; i < pairs; i++) {
    run->sums[2 * i + 1] = p->bias_shift[first_unit(p, pair + i)] >> 5;
    run->sums[2 * i] = (int32_t)((uint32_t)(p->bias_shift[second_unit(p, pair + i)] >> 5) << 8);
    run->sums[2 * i] += run->sums[2 * i + 1];
  }
  run->input = input;
  run->groups = p->inputs >> 2;
  if (run->groups > 0) dot(run);
  if (p->inputs & 3) { /* the last group; what lies behind the inputs meets zero weights */
    int8_t last[4] = {0};
    for (int32_t i = 0; i < (p->inputs & 3); i++) last[i] = input[(p->inputs & ~3) + i];
    run->input = last;
    run->groups = 1;
    dot(run);
  }
  for (int32_t i = 0; i < pairs; i++) {
    const int32_t s = run->sums[2 * i], a = run->sums[2 * i + 1];
    output[first_unit(p, pair + i)] = finish(p, first_unit(p, pair + i), a);
    const int32_t b = (int32_t)((uint32_t)s - (uint32_t)a) >> 8;
    output[second_unit(p, pair + i)] = finish(p, second_unit(p, pair + i), b);
  }
}

void trecx_fully_connected_s8_bytepair(const trecx_fully_connected_s8_bytepair_params *params,
                                       const int8_t *input, int8_t *output, void *scratch) {
  const params_t *const p = params;
  const int32_t all = (p->units + 1) >> 1;
  (void)scratch;
  for (int32_t row = 0; row < p->rows; row++) {
    trecx_dense_run run;
    int32_t pair = 0;
    run.weights = p->weights;
    for (; pair + 3 <= all; pair += 3) units(p, &run, input, pair, 3, output);
    for (; pair < all; pair++) units(p, &run, input, pair, 1, output);
    input += p->inputs;
    output += p->units;
  }
}
