#include "trecx/dsp/bytepair_inner.h"

static void prepare_entry(const trecx_bytepair_layer *layer, const int32_t *constants,
                          trecx_bytepair_entry *e) {
  const int32_t a = trecx_dsp_bias(constants), b = trecx_dsp_bias(constants + 2);
  for (int32_t i = 0; i < 3; i++) {
    e->start_a[i] = a;
    e->start_s[i] = (int32_t)(((uint32_t)b << 8) + (uint32_t)a);
  }
  trecx_dsp_prepare_requant(constants, layer->zero_point, &e->a);
  trecx_dsp_prepare_requant(constants + 2, layer->zero_point, &e->b);
  if (!layer->round_negatives) trecx_dsp_requant_of_256(&e->b);
}

void trecx_bytepair_start(trecx_bytepair_run *run, const trecx_bytepair_layer *layer,
                          int32_t pixel_step, void *scratch) {
  trecx_bytepair_entry *e = scratch;
  const int32_t *constants = layer->constants;
  run->entries = e;
  run->end = e + trecx_bytepair_pairs(layer->channels);
  run->tile = (uint32_t *)(e + trecx_bytepair_pairs(layer->channels));
  run->skip = (uint32_t)-layer->groups & 3u;
  run->groups = layer->groups;
  run->pixel_step = pixel_step;
  run->round_negatives = layer->round_negatives;
  run->weights = layer->weights;
  run->channels = layer->channels;
  for (; e != run->end; e++) {
    prepare_entry(layer, constants, e);
    constants += e == run->entries && (layer->channels & 1) ? 2 : 4;
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
