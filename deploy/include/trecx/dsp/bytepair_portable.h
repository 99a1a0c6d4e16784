/* Included by bytepair_inner.h. */
#ifndef TRECX_DSP_BYTEPAIR_PORTABLE_H
#define TRECX_DSP_BYTEPAIR_PORTABLE_H

/* shifted: the accumulator times 2^(d+1). */
static int8_t requantize_fast(int32_t shifted, const trecx_dsp_requant *q) {
  const int32_t y = trecx_smmla(shifted, q->multiplier, q->offset);
  return (int8_t)trecx_half_to_s8(y >> (TRECX_BYTEPAIR_FAST_SHIFT - 1));
}

static void run_pixels(const trecx_bytepair_run *run, int32_t pixels) {
  const uint32_t *weights = run->weights;
  int8_t *output = run->output;
  for (const trecx_bytepair_entry *e = run->entries; e != run->end; e++) {
    for (int32_t i = 0; i < pixels; i++) {
      int32_t s = e->start_s[i], a = e->start_a[i];
      for (int32_t k = 0; k < 2 * run->groups; k++) {
        const uint32_t x = run->tile[k * pixels + i];
        s = trecx_smlad(weights[k], x, s);
        a = trecx_smlad(trecx_lanes_02(weights[k]), x, a);
      }
      const int32_t b = (int32_t)((uint32_t)s - (uint32_t)a);
      int8_t *const at = output + i * run->pixel_step;
      if (run->fast) {
        at[0] = requantize_fast((int32_t)((uint32_t)a << e->a.shift), &e->a);
        at[1] = requantize_fast(b >> e->b.shift, &e->b);
      } else {
        at[0] = (int8_t)trecx_dsp_requantize(a, &e->a);
        at[1] = (int8_t)trecx_dsp_requantize(b >> 8, &e->b);
      }
    }
    weights += 2 * run->groups;
    output += 2;
  }
}

void trecx_bytepair_run_3(const trecx_bytepair_run *run) {
  run_pixels(run, 3);
}

void trecx_bytepair_run_2(const trecx_bytepair_run *run) {
  run_pixels(run, 2);
}

#endif
