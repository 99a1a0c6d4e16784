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

static void prepare_channel(const int32_t *constants, int32_t zero_point,
                            trecx_dsp_requant *requant) {
  requant->multiplier = constants[1];
  requant->shift = constants[0] & 31;
  requant->offset = (int32_t)((uint32_t)(2 * zero_point + 1) << requant->shift);
}

void trecx_bytepair_prepare(const int32_t *constants, int32_t channels, int32_t zero_point,
                            trecx_bytepair_entry *entries) {
  const int32_t pairs = trecx_bytepair_pairs(channels);
  for (int32_t pair = 0; pair < pairs; pair++) {
    trecx_bytepair_entry *const e = &entries[pair];
    const int32_t *const a = constants, *const b = a + TRECX_BYTEPAIR_CONSTANTS;
    for (int32_t i = 0; i < 3; i++) {
      e->start_a[i] = a[0] >> 5;
      e->start_s[i] = (int32_t)(((uint32_t)(b[0] >> 5) << 8) + (uint32_t)e->start_a[i]);
    }
    prepare_channel(a, zero_point, &e->a);
    prepare_channel(b, zero_point, &e->b);
    constants += TRECX_BYTEPAIR_CONSTANTS * (pair == 0 && (channels & 1) ? 1 : 2);
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
