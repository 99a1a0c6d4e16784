#include "trecx/dsp/bytepair_inner.h"

static inline void fill_entry(trecx_dsp_channel a, trecx_dsp_channel b, int32_t fast,
                              trecx_bytepair_entry *e) {
  const int32_t start_s = (int32_t)(((uint32_t)b.bias << 8) + (uint32_t)a.bias);
  for (int32_t i = 0; i < 3; i++) {
    e->start_a[i] = a.bias;
    e->start_s[i] = start_s;
  }
  e->a = a.requant;
  e->b = b.requant;
  if (fast) {
    e->a.shift = a.requant.shift + 1;
    e->b.shift = 7 - b.requant.shift;
  }
}

/* Unpacked channels are shorter than entries: they are put at the end of the entries' place, and
 * the entries, from the first on, overwrite only what has been used. */
static void fill_entries(const trecx_bytepair_layer *layer, trecx_bytepair_entry *entries,
                         int32_t pairs) {
  trecx_dsp_channel *channel = (trecx_dsp_channel *)(entries + pairs) - layer->channels;
  trecx_dsp_unpack(&layer->constants, 0, layer->channels, channel);
  for (int32_t i = 0; i < pairs; i++) {
    const trecx_dsp_channel a = channel[0], b = channel[1];
    /* With an odd number of channels, the second pair repeats the second channel. */
    channel += i == 0 && (layer->channels & 1) ? 1 : 2;
    fill_entry(a, b, layer->constants.fast_shift, &entries[i]);
  }
}

void trecx_bytepair_start(trecx_bytepair_run *run, const trecx_bytepair_layer *layer,
                          int32_t pixel_step, void *scratch) {
  trecx_bytepair_entry *const entries = scratch;
  const int32_t pairs = trecx_bytepair_pairs(layer->channels);
  fill_entries(layer, entries, pairs);
  run->entries = entries;
  run->end = entries + pairs;
  run->tile = (uint32_t *)(entries + pairs);
  run->skip = (uint32_t)-layer->groups & 7u;
  run->groups = layer->groups;
  run->pixel_step = pixel_step;
  run->fast = layer->constants.fast_shift;
  run->weights = layer->weights;
  run->channels = layer->channels;
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
