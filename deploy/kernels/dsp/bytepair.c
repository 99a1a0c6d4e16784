#include "trecx/dsp/bytepair_inner.h"

static inline void fill_entry(const trecx_dsp_channel *a, const trecx_dsp_channel *b, int32_t fast,
                              trecx_bytepair_entry *e) {
  const int32_t start_a = a->bias;
  const int32_t start_s = (int32_t)(((uint32_t)b->bias << 8) + (uint32_t)start_a);
  for (int32_t i = 0; i < 3; i++) {
    e->start_a[i] = start_a;
    e->start_s[i] = start_s;
  }
  e->a.multiplier = a->requant.multiplier;
  e->a.offset = a->requant.offset;
  e->a.shift = fast ? a->requant.shift + 1 : a->requant.shift;
  e->b.multiplier = b->requant.multiplier;
  e->b.offset = b->requant.offset;
  e->b.shift = fast ? 7 - b->requant.shift : b->requant.shift;
}

void trecx_bytepair_start(trecx_bytepair_run *run, const trecx_bytepair_layer *layer,
                          int32_t pixel_step, void *scratch) {
  trecx_bytepair_entry *const entries = scratch;
  const int32_t pairs = trecx_bytepair_pairs(layer->channels);
  int32_t channel = 0;
  run->entries = entries;
  run->end = entries + pairs;
  run->tile = (uint32_t *)(entries + pairs);
  run->skip = (uint32_t)-layer->groups & 7u;
  run->groups = layer->groups;
  run->pixel_step = pixel_step;
  run->fast = layer->constants.fast_shift;
  run->weights = layer->weights;
  run->channels = layer->channels;
  for (int32_t i = 0; i < pairs; i++) {
    trecx_dsp_channel pair[2];
    trecx_dsp_unpack(&layer->constants, channel, 2, pair);
    fill_entry(&pair[0], &pair[1], run->fast, &entries[i]);
    /* With an odd number of channels, the second pair repeats the second channel. */
    channel += i == 0 && (layer->channels & 1) ? 1 : 2;
  }
}

/* The second pair repeats the second channel. */
void trecx_bytepair_run_odd(const trecx_bytepair_run *run, int32_t pixels) {
  void (*const run_pixels)(const trecx_bytepair_run *) =
      pixels == 3 ? trecx_bytepair_run_3 : trecx_bytepair_run_2;
  trecx_bytepair_run part = *run;
  part.end = run->entries + 1;
  run_pixels(&part);
  part.entries = part.end;
  part.end = run->end;
  part.weights += 2 * run->groups;
  part.output++;
  if (part.entries != part.end) run_pixels(&part);
}
