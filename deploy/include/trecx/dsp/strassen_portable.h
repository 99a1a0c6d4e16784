/* Included by strassen_inner.h. */
#ifndef TRECX_DSP_STRASSEN_PORTABLE_H
#define TRECX_DSP_STRASSEN_PORTABLE_H

static void trecx_strassen_prepare(trecx_strassen_run *run) {
  (void)run;
}

/* Sums of two filters (first: 0 and 1) and two pixels. */
typedef struct {
  int32_t at[4];
} strassen_sums;

/* sums plus the product of the tile's part and the weights, which it passes. */
static strassen_sums strassen_product(const trecx_strassen_run *run, strassen_sums sums,
                                      int32_t part, const uint32_t **weights) {
  const uint32_t *x = run->tile + part * (4 * run->groups + 1), *w = *weights;
  for (int32_t words = 2 * run->groups; words > 0; words--, x += 2, w += 2) {
    for (int32_t i = 0; i < 4; i++) sums.at[i] = trecx_smlad(w[i / 2], x[i % 2], sums.at[i]);
  }
  *weights = w;
  return sums;
}

/* The biases of two filters, which it passes. */
static strassen_sums strassen_biases(const uint32_t **weights) {
  const int32_t a = (int32_t)(*weights)[0], b = (int32_t)(*weights)[1];
  const strassen_sums sums = {{a, a, b, b}};
  *weights += 2;
  return sums;
}

static strassen_sums strassen_add(strassen_sums a, strassen_sums b) {
  for (int32_t i = 0; i < 4; i++) a.at[i] = (int32_t)((uint32_t)a.at[i] + (uint32_t)b.at[i]);
  return a;
}

static void strassen_store(const trecx_strassen_run *run, strassen_sums sums,
                           const uint32_t *constants, int8_t *output) {
  for (int32_t i = 0; i < 4; i++) {
    const int32_t *const c = (const int32_t *)constants + i / 2 * 2;
    const int32_t y = trecx_smmla(sums.at[i], c[0], c[1]) >> (TRECX_STRASSEN_SHIFT - 1);
    output[i / 2 + i % 2 * run->pixel_step] = (int8_t)trecx_half_to_s8(y);
  }
}

static void trecx_strassen_tile(const trecx_strassen_run *run) {
  int8_t *output = run->output;
  for (const uint32_t *w = run->weights; w != run->end; output += 4) {
    const strassen_sums p1 = strassen_product(run, strassen_biases(&w), 0, &w);
    const strassen_sums c11 = strassen_product(run, p1, 1, &w);
    strassen_store(run, c11, w, output);
    w += 4;
    const strassen_sums u2 = strassen_product(run, p1, 2, &w);
    const strassen_sums u3 = strassen_product(run, u2, 3, &w);
    const strassen_sums c21 = strassen_product(run, u3, 4, &w);
    strassen_store(run, c21, w, output + run->second);
    w += 4;
    const strassen_sums p5 = strassen_product(run, strassen_biases(&w), 5, &w);
    const strassen_sums c12 = strassen_product(run, strassen_add(u2, p5), 6, &w);
    strassen_store(run, c12, w, output + 2);
    strassen_store(run, strassen_add(u3, p5), w, output + run->second + 2);
    w += 4;
  }
}

static void trecx_strassen_transform(const trecx_strassen_input *in) {
  for (int32_t i = 0; i < 2 * in->groups; i++) {
    const int32_t at = i / 2 * 4, shift = i % 2 * 8;
    const uint32_t a11 = trecx_lanes_02(trecx_load32(in->a + at) >> shift);
    const uint32_t a12 = trecx_lanes_02(trecx_load32(in->a + at + in->half + 4) >> shift);
    const uint32_t a21 = trecx_lanes_02(trecx_load32(in->b + at) >> shift);
    const uint32_t a22 = trecx_lanes_02(trecx_load32(in->b + at + in->half + 4) >> shift);
    const uint32_t s1 = trecx_sub_lanes(a21, trecx_sub_lanes(0, a22));
    const uint32_t s2 = trecx_sub_lanes(s1, a11);
    const uint32_t parts[TRECX_STRASSEN_PARTS] = {
        a11, a12, s2, trecx_sub_lanes(a11, a21), a22, s1, trecx_sub_lanes(a12, s2)};
    for (int32_t part = 0; part < TRECX_STRASSEN_PARTS; part++) {
      in->to[2 * i + part * (in->part_bytes / 4)] = parts[part];
    }
  }
}

#endif
