/* Filters with weights of 16 bits, applied to tiles of two pixels: fewer instructions than byte
 * pairs (trecx/dsp/bytepair.h) for twice the flash, as nothing is unpacked.
 *
 * Two filters pass over two pixels: four inputs of each are one load of four words for the filters,
 * one for the pixels, and eight SMLAD for sixteen products. What the requantisation shifts left is
 * shifted in the weights and biases already: by d + 1 in the fast form (trecx/dsp/arith.h), by 1 in
 * the general one.
 *
 * Inputs are taken in groups of four; a filter is padded to whole groups with zero weights.
 * Layouts:
 *
 *   weights  for each pair of filters: two biases; [group][2 words of lanes: inputs (0, 2), then
 *            (1, 3)][2 filters]; then multiplier, offset (general form: and shift e - 1) of both
 *   tile     [group][2 words of lanes][2 pixels, or 1] */
#ifndef TRECX_DSP_WIDE_H
#define TRECX_DSP_WIDE_H

#include <stdint.h>

#include "trecx/dsp/arith.h"

/* The second shift of the fast requantisation. */
#define TRECX_WIDE_FAST_SHIFT 12

/* A layer's filters. channels: even. fast: which form of requantisation the weights are for. */
typedef struct {
  const uint32_t *weights;
  int16_t groups, channels;
  int16_t fast;
} trecx_wide_layer;

/* The filters, and the tile they are applied to. The assembly relies on the order of the fields.
 * output: where the next tile's results go; pixel_step: bytes from a pixel to the next.
 * entry, exit, requantize: of the assembly for two pixels, where the groups after the first are
 *   entered and left, and what follows the last one (trecx_wide_prepare).
 * skip: of sixteen groups, those left out in the first turn of a loop over all but the first. */
typedef struct {
  int8_t *output;
  int32_t pixel_step;
  const uint32_t *end; /* of the weights */
  uint32_t *tile;
  uintptr_t entry, exit;
  const uint32_t *tile_end;
  uintptr_t requantize;
  const uint32_t *weights;
  int32_t fast;
  uint32_t skip;
} trecx_wide_run;

/* Bytes of scratch memory for a tile. */
#define TRECX_WIDE_SCRATCH(groups) (16 * (groups))

/* Fill in the addresses, which follow from the other fields. */
void trecx_wide_prepare(trecx_wide_run *run);

static inline void trecx_wide_start(trecx_wide_run *run, const trecx_wide_layer *layer,
                                    void *scratch) {
  const int32_t pair_words = 4 * layer->groups + (layer->fast ? 6 : 8);
  run->pixel_step = layer->channels;
  run->end = layer->weights + (layer->channels >> 1) * pair_words;
  run->tile = scratch;
  run->skip = layer->groups == 1 ? 16 : (uint32_t)(1 - layer->groups) & 15u;
  run->tile_end = run->tile + 4 * layer->groups;
  run->fast = layer->fast;
  run->weights = layer->weights;
  trecx_wide_prepare(run);
}

/* All channels of the tile's two pixels, or of a single one. */
void trecx_wide_tile(const trecx_wide_run *run);
void trecx_wide_pixel(const trecx_wide_run *run);

/* The same for `pixels` pixels, 1 or 2; the output moves on. */
static inline void trecx_wide_pixels(trecx_wide_run *run, int32_t pixels) {
  if (pixels == 2) {
    trecx_wide_tile(run);
  } else {
    trecx_wide_pixel(run);
  }
  run->output += pixels * run->pixel_step;
}

#endif
