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
  trecx_bytepair_entry *const entries = scratch, *e;
  const int32_t pairs = trecx_bytepair_pairs(layer->channels);
  trecx_dsp_cursor cursor;
  trecx_dsp_channel a, b;
  run->entries = entries;
  run->end = entries + pairs;
  run->tile = (uint32_t *)(entries + pairs);
  run->skip = (uint32_t)-layer->groups & 7u;
  run->groups = layer->groups;
  run->pixel_step = pixel_step;
  run->fast = layer->constants.fast_shift;
  run->weights = layer->weights;
  run->channels = layer->channels;
  trecx_dsp_first_channel(&cursor, &layer->constants);
  trecx_dsp_next_channel(&cursor, &a);
  for (e = entries;;) {
    trecx_dsp_next_channel(&cursor, &b);
    fill_entry(&a, &b, run->fast, e);
    if (++e == run->end) break;
    if (e == entries + 1 && (layer->channels & 1)) {
      a = b; /* with an odd number of channels, the second pair repeats the second channel */
    } else {
      trecx_dsp_next_channel(&cursor, &a);
    }
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
