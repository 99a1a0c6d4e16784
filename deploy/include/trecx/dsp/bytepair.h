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

/* A layer's filters, and the tile they are applied to. The assembly relies on the order of the
 * fields.
 * skip: groups left out in the first turn of a loop over eight groups.
 * output: where the next tile's results go; pixel_step: bytes from a pixel to the next.
 * fast: which form of requantisation the entries are for. */
typedef struct {
  uint32_t *tile;
  uint32_t skip;
  int32_t groups;
  const trecx_bytepair_entry *entries;
  int8_t *output;
  int32_t pixel_step;
  const trecx_bytepair_entry *end;
  int32_t fast;
  const uint32_t *weights;
  int32_t channels;
} trecx_bytepair_run;

/* The second shift of the fast requantisation. In an entry of that form, a.shift is d + 1, to the
 * left, and b.shift is 7 - d, to the right, since 256 * B is at hand. */
#define TRECX_BYTEPAIR_FAST_SHIFT 12

/* What a kernel knows of its layer. channels: outputs of a pixel, at least 2. */
typedef struct {
  const uint32_t *weights;
  trecx_dsp_channels constants;
  int16_t groups, channels;
} trecx_bytepair_layer;

static inline int32_t trecx_bytepair_pairs(int32_t channels) {
  return (channels + 1) >> 1;
}

/* Bytes of scratch memory that trecx_bytepair_start uses: entries, then the tile. */
#define TRECX_BYTEPAIR_SCRATCH(channels, groups) \
  (trecx_bytepair_pairs(channels) * (int32_t)sizeof(trecx_bytepair_entry) + 24 * (groups))

/* Prepare a run; pixel_step is `channels`, or 0 for a single pixel computed twice. */
void trecx_bytepair_start(trecx_bytepair_run *run, const trecx_bytepair_layer *layer,
                          int32_t pixel_step, void *scratch);

/* All pairs of a run on three or two pixels. */
void trecx_bytepair_run_3(const trecx_bytepair_run *run);
void trecx_bytepair_run_2(const trecx_bytepair_run *run);

/* The same when the number of channels is odd. */
void trecx_bytepair_run_odd(const trecx_bytepair_run *run, int32_t pixels);

/* All channels of `pixels` (2 or 3) output pixels to run->output, which moves on. */
static inline void trecx_bytepair_tile(trecx_bytepair_run *run, int32_t pixels) {
  if (run->channels & 1) {
    trecx_bytepair_run_odd(run, pixels);
  } else if (pixels == 3) {
    trecx_bytepair_run_3(run);
  } else {
    trecx_bytepair_run_2(run);
  }
  run->output += pixels * run->channels;
}

/* Pixels of the next tile when `left` are left: tiles of three, but two where one would remain.
 * A single pixel is computed twice: a tile of two with both steps zero. */
static inline int32_t trecx_bytepair_tile_pixels(int32_t left) {
  return left == 3 || left > 4 ? 3 : 2;
}

#endif
