/* Included by bytepair_inner.h. */
#ifndef TRECX_DSP_BYTEPAIR_PORTABLE_H
#define TRECX_DSP_BYTEPAIR_PORTABLE_H

static int8_t requantize(const run *r, const trecx_dsp_requant *q, int32_t doubled) {
  const int32_t sign = r->round_negatives ? doubled >> 31 : 0;
  const int32_t y = trecx_smmlar(doubled, q->multiplier, q->offset + sign);
  return (int8_t)trecx_half_to_s8(y >> q->shift);
}

static void run_pixels(const run *r, int32_t pixels) {
  const uint32_t *weights = r->weights;
  int8_t *output = r->output;
  for (const trecx_bytepair_entry *e = r->entries; e != r->end; e++) {
    for (int32_t i = 0; i < pixels; i++) {
      int32_t s = e->start_s[i], a = e->start_a[i];
      for (int32_t k = 0; k < 2 * r->groups; k++) {
        const uint32_t x = r->tile[k * pixels + i];
        s = trecx_smlad(weights[k], x, s);
        a = trecx_smlad(trecx_lanes_02(weights[k]), x, a);
      }
      const int32_t b = (int32_t)((uint32_t)s - (uint32_t)a);
      output[i * r->pixel_step] = requantize(r, &e->a, 2 * a);
      output[i * r->pixel_step + 1] = requantize(r, &e->b, b >> 7);
    }
    weights += 2 * r->groups;
    output += 2;
  }
}

static void run_3_pixels(const run *r) {
  run_pixels(r, 3);
}

static void run_2_pixels(const run *r) {
  run_pixels(r, 2);
}

static uint32_t *widen_3(uint32_t *tile, const int8_t *p0, const int8_t *p1, const int8_t *p2,
                         int32_t groups) {
  for (int32_t g = 0; g < groups; g++, tile += 6) {
    const int8_t *const pixels[3] = {p0 + 4 * g, p1 + 4 * g, p2 + 4 * g};
    for (int32_t i = 0; i < 3; i++) {
      tile[i] = trecx_lanes_02(trecx_load32(pixels[i]));
      tile[3 + i] = trecx_lanes_13(trecx_load32(pixels[i]));
    }
  }
  return tile;
}

#endif
