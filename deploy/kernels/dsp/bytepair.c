#include "trecx/dsp/bytepair_inner.h"

void trecx_bytepair_tile(const trecx_bytepair_filters *filters, const uint32_t *tile,
                         int32_t pixels, int8_t *output, int32_t pixel_step) {
  const int32_t odd = filters->channels & 1;
  run r = {tile,
           (uint32_t)-filters->groups & 3u,
           filters->entries,
           filters->groups,
           output,
           pixel_step,
           filters->entries + trecx_bytepair_pairs(filters->channels),
           filters->round_negatives,
           filters->weights};
  void (*const function)(const run *) = pixels == 3 ? run_3_pixels : run_2_pixels;
  if (odd) { /* the second pair repeats the second channel */
    const trecx_bytepair_entry *const end = r.end;
    r.end = r.entries + 1;
    function(&r);
    r.entries++;
    r.end = end;
    r.weights += 2 * r.groups;
    r.output++;
  }
  function(&r);
}

void trecx_bytepair_prepare(const int32_t *constants, int32_t channels, int32_t zero_point,
                            trecx_bytepair_entry *entries) {
  const int32_t pairs = trecx_bytepair_pairs(channels);
  for (int32_t pair = 0; pair < pairs; pair++) {
    trecx_bytepair_entry *const e = &entries[pair];
    const int32_t *const a = constants, *const b = constants + 2;
    for (int32_t i = 0; i < 3; i++) {
      e->start_a[i] = trecx_dsp_bias(a);
      e->start_s[i] = (int32_t)(((uint32_t)trecx_dsp_bias(b) << 8) + (uint32_t)e->start_a[i]);
    }
    trecx_dsp_prepare_requant(a, zero_point, &e->a);
    trecx_dsp_prepare_requant(b, zero_point, &e->b);
    constants += pair == 0 && (channels & 1) ? 2 : 4;
  }
}

uint32_t *trecx_bytepair_widen(uint32_t *tile, const int8_t *pixel, int32_t pixel_step,
                               int32_t pixels, int32_t groups) {
  if (pixels == 3) return widen_3(tile, pixel, pixel + pixel_step, pixel + 2 * pixel_step, groups);
  for (; groups > 0; groups--, pixel += 4) {
    const uint32_t x0 = trecx_load32(pixel), x1 = trecx_load32(pixel + pixel_step);
    *tile++ = trecx_lanes_02(x0);
    *tile++ = trecx_lanes_02(x1);
    *tile++ = trecx_lanes_13(x0);
    *tile++ = trecx_lanes_13(x1);
  }
  return tile;
}
