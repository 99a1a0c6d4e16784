/* Included by winograd4_inner.h. */
#ifndef TRECX_DSP_WINOGRAD4_PORTABLE_H
#define TRECX_DSP_WINOGRAD4_PORTABLE_H

/* d[0], d[step], ... to v[0], v[step], ... */
static inline void trecx_winograd4_six(const int32_t *d, int32_t *v, int32_t step) {
  const int32_t d0 = d[0], d1 = d[step], d2 = d[2 * step];
  const int32_t d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
  v[0] = 4 * d0 - 5 * d2 + d4;
  v[step] = d4 - 4 * d2 + d3 - 4 * d1;
  v[2 * step] = d4 - 4 * d2 - d3 + 4 * d1;
  v[3 * step] = d4 - d2 + 2 * (d3 - d1);
  v[4 * step] = d4 - d2 - 2 * (d3 - d1);
  v[5 * step] = 4 * d1 - 5 * d3 + d5;
}

/* Transform channel c; values[column][row]. */
static inline void trecx_winograd4_channel(const trecx_winograd4_input *in, int32_t c,
                                           int32_t values[TRECX_WINOGRAD4_POINTS]) {
  for (int32_t y = 0; y < 6; y++) {
    for (int32_t x = 0; x < 6; x++) {
      values[6 * x + y] = in->input[y * in->row + x * in->pixel + c] + 128;
    }
  }
  for (int32_t y = 0; y < 6; y++) trecx_winograd4_six(values + y, values + y, 6);
  for (int32_t x = 0; x < 6; x++) trecx_winograd4_six(values + 6 * x, values + 6 * x, 1);
}

static inline void trecx_winograd4_transform(const trecx_winograd4_input *in) {
  for (int32_t half = 0; half < 2; half++) {
    int32_t low[TRECX_WINOGRAD4_POINTS], high[TRECX_WINOGRAD4_POINTS];
    trecx_winograd4_channel(in, half, low);
    trecx_winograd4_channel(in, half + 2, high);
    for (int32_t i = 0; i < TRECX_WINOGRAD4_POINTS; i++) {
      in->output[i * in->point / 4 + 2 * half] =
          trecx_lanes((uint32_t)(low[i] + TRECX_WINOGRAD4_LANE_OFFSET), (uint32_t)high[i]);
    }
  }
}

static inline void trecx_winograd4_multiply(const trecx_winograd4_product *product) {
  const uint32_t *x = product->tiles, *w = product->filters;
  for (int32_t *sums = product->sums; sums != product->end; sums++) {
    int32_t total[2][2] = {{(int32_t)w[0], (int32_t)w[0]}, {(int32_t)w[1], (int32_t)w[1]}};
    w += 2;
    for (int32_t k = 2 * (16 - product->skip); k > 0; k--, x += 2, w += 2) {
      for (int32_t i = 0; i < 4; i++) {
        total[i / 2][i % 2] = trecx_smlad(w[i / 2], x[i % 2], total[i / 2][i % 2]);
      }
    }
    for (int32_t i = 0; i < 4; i++) sums[i * TRECX_WINOGRAD4_POINTS] = total[i / 2][i % 2];
  }
}

/* m[0 .. 5] to y[0], y[step], y[2 step], y[3 step], which are divided by 1, 2, 4 and 4. */
static inline void trecx_winograd4_four(const uint32_t *m, uint32_t *y, int32_t step) {
  const uint32_t s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
  y[0] = 2 * m[0] + 4 * s1 + s2;
  y[step] = d2 + 2 * d1;
  y[2 * step] = s1 + s2;
  y[3 * step] = d1 + 2 * d2 + 2 * m[5];
}

static inline int8_t trecx_winograd4_requantize(const trecx_winograd4_output *out, int32_t sum64) {
  const trecx_dsp_requant q = {out->multiplier, out->offset, out->shift};
  if (!out->fast) return (int8_t)trecx_dsp_requantize(sum64 >> 6, &q);
  const int32_t y = trecx_smmla(sum64 >> out->shift, q.multiplier, q.offset);
  return (int8_t)trecx_half_to_s8(y >> (TRECX_WINOGRAD4_FAST_SHIFT - 1));
}

static inline void trecx_winograd4_finish(const trecx_winograd4_output *out) {
  uint32_t *const rows = (uint32_t *)out->temporary;
  const uint32_t *const sums = (const uint32_t *)out->sums;
  for (int32_t x = 0; x < 6; x++) trecx_winograd4_four(sums + 6 * x, rows + x, 6);
  for (int32_t y = 0; y < 4; y++) {
    const int32_t *const factors = out->factors + 3 * y;
    uint32_t outputs[4];
    trecx_winograd4_four(rows + 6 * y, outputs, 1);
    for (int32_t x = 0; x < 4; x++) {
      const uint32_t sum64 = outputs[x] * (uint32_t)factors[x < 2 ? x : 2];
      out->output[y * out->row + x * out->pixel] = trecx_winograd4_requantize(out, (int32_t)sum64);
    }
  }
}

#endif
