#include "trecx/dsp/bytepair_inner.h"

static void fill_entry(const trecx_bytepair_layer *layer, trecx_dsp_channel a, trecx_dsp_channel b,
                       trecx_bytepair_entry *e) {
  const int32_t s = (int32_t)(((uint32_t)b.bias << 8) + (uint32_t)a.bias);
  for (int32_t i = 0; i < 3; i++) {
    e->start_a[i] = a.bias;
    e->start_s[i] = s;
  }
  e->a = a.requant;
  e->b = b.requant;
  if (layer->constants.fast_shift) {
    e->a.shift = a.requant.shift + 1;
    e->b.shift = 7 - b.requant.shift;
  }
}

void trecx_bytepair_start(trecx_bytepair_run *run, const trecx_bytepair_layer *layer,
                          int32_t pixel_step, void *scratch) {
  trecx_bytepair_entry *e = scratch;
  trecx_dsp_cursor cursor;
  trecx_dsp_channel a, b;
  run->entries = e;
  run->end = e + trecx_bytepair_pairs(layer->channels);
  run->tile = (uint32_t *)(e + trecx_bytepair_pairs(layer->channels));
  run->skip = (uint32_t)-layer->groups & 3u;
  run->groups = layer->groups;
  run->pixel_step = pixel_step;
  run->fast = layer->constants.fast_shift;
  run->weights = layer->weights;
  run->channels = layer->channels;
  trecx_dsp_first_channel(&cursor, &layer->constants);
  for (; e != run->end; e++) {
    /* With an odd number of channels, the second pair repeats the second channel. */
    const int32_t again = (layer->channels & 1) && e == run->entries + 1;
    a = again ? b : trecx_dsp_next_channel(&cursor);
    b = trecx_dsp_next_channel(&cursor);
    fill_entry(layer, a, b, e);
  }
}

static void run_pixels_of(const trecx_bytepair_run *run, int32_t pixels) {
  if (pixels == 3) {
    run_3_pixels(run);
  } else {
    run_2_pixels(run);
  }
}

/* The second pair repeats the second channel. */
static void odd_channels(const trecx_bytepair_run *run, int32_t pixels) {
  trecx_bytepair_run part = *run;
  part.end = run->entries + 1;
  run_pixels_of(&part, pixels);
  part.entries = part.end;
  part.end = run->end;
  part.weights += 2 * run->groups;
  part.output++;
  if (part.entries != part.end) run_pixels_of(&part, pixels);
}

void trecx_bytepair_tile(trecx_bytepair_run *run, int32_t pixels) {
  if (run->channels & 1) {
    odd_channels(run, pixels);
  } else {
    run_pixels_of(run, pixels);
  }
  run->output += pixels * run->channels;
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
