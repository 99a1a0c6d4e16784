/* Filters in byte pairs, applied to tiles of three or two pixels: the core of the DSP kernels for
 * CONV_2D with weights at their int8 size.
 *
 * One halfword holds the weights of two filters A and B for the same input: 256 * b + a. SMLAD with
 * the raw word sums S = 256 * B + A; SXTB16 then leaves a alone and SMLAD sums A; B = (S - A) >> 8,
 * exact because |B| < 2^23 (checked when the model is compiled).
 *
 * Inputs are taken in groups of four; a filter is padded to whole groups with zero weights.
 * Layouts:
 *
 *   weights  [pair][group][2] words: lanes of inputs (0, 2), then (1, 3)
 *   tile     [group][2][pixel] words: lanes of inputs (0, 2) of each pixel, then (1, 3)
 *
 * When the number of channels is odd, the first two pairs share one channel: (0, 1), (1, 2), (3,
 * 4). */
#ifndef TRECX_DSP_BYTEPAIR_H
#define TRECX_DSP_BYTEPAIR_H

#include <stdint.h>

#include "trecx/dsp/arith.h"

/* A pair of channels, expanded to be loaded by few instructions. */
typedef struct {
  int32_t start_s[3], start_a[3]; /* S and A of a tile's pixels begin with the bias */
  trecx_dsp_requant a, b;
} trecx_bytepair_entry;

/* What a tile is multiplied with: `entries` one for each pair of filters.
 * round_negatives: 0 if no output below the zero point can survive the activation. */
typedef struct {
  const uint32_t *weights;
  const trecx_bytepair_entry *entries;
  int32_t groups;
  int32_t channels; /* at least 2 */
  int32_t round_negatives;
} trecx_bytepair_filters;

static inline int32_t trecx_bytepair_pairs(int32_t channels) {
  return (channels + 1) >> 1;
}

/* Expand the constants (trecx/dsp/arith.h) of `channels` channels; zero_point is the output's. */
void trecx_bytepair_prepare(const int32_t *constants, int32_t channels, int32_t zero_point,
                            trecx_bytepair_entry *entries);

/* Widen `groups` * 4 bytes of each of `pixels` (2 or 3) pixels, pixel_step bytes apart, to a part
 * of a tile. Returns its end. */
uint32_t *trecx_bytepair_widen(uint32_t *tile, const int8_t *pixel, int32_t pixel_step,
                               int32_t pixels, int32_t groups);

/* All channels of `pixels` (2 or 3) output pixels, pixel_step bytes apart. */
void trecx_bytepair_tile(const trecx_bytepair_filters *filters, const uint32_t *tile,
                         int32_t pixels, int8_t *output, int32_t pixel_step);

/* Pixels of the next tile when `left` are left: tiles of three, but two where one would remain.
 * A single pixel is computed twice: a tile of two with both steps zero. */
static inline int32_t trecx_bytepair_tile_pixels(int32_t left) {
  return left == 3 || left > 4 ? 3 : 2;
}

#endif
