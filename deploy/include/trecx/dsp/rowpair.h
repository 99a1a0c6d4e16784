/* Two output rows at once of a kernel of three rows with vertical stride 2, by Winograd's F(2, 2)
 * on the outer kernel rows: five products of kernel rows instead of six.
 *
 * With the input rows x0 to x4 and the kernel rows g0, g1, g2, the output rows are
 *
 *   y0 = x0 g0 + x1 g1 + x2 g2 = P + (x0 - x2) g0 + x1 g1    where P = x2 (g0 + g2)
 *   y1 = x2 g0 + x3 g1 + x4 g2 = P + (x4 - x2) g2 + x3 g1
 *
 * Weights and requantisation are as in trecx/dsp/wide.h. Layouts, for kernel rows of `groups`
 * groups of four inputs:
 *
 *   weights  for each pair of filters: two biases; g0 + g2, g0, g1, g2, g1, each [groups][2 words
 * of lanes][2 filters]; multiplier, offset (general form: and shift e - 1) of both tile     x2, x0
 * - x2, x1, x4 - x2, x3, each [groups][2 words of lanes][2 pixels] */
#ifndef TRECX_DSP_ROWPAIR_H
#define TRECX_DSP_ROWPAIR_H

#include <stdint.h>

#include "trecx/dsp/arith.h"

/* A part of the product over all but its first group: skip: of sixteen groups, those left out in
 * the first turn of a loop; tile_end: of the part. */
typedef struct {
  uint32_t skip;
  const uint32_t *tile_end;
} trecx_rowpair_part;

/* The filters, and the tile they are applied to. The assembly relies on the order of the fields.
 * output: where the tile's results of the upper row go; row_step: from there to the lower row's. */
typedef struct {
  int8_t *output;
  int32_t pixel_step;
  int32_t row_step;
  const uint32_t *end; /* of the weights */
  uint32_t *tile;
  int32_t fast;
  const uint32_t *weights;
  trecx_rowpair_part parts[3]; /* P, and what is added to it for either row */
} trecx_rowpair_run;

/* All channels of two pixels in both rows. */
void trecx_rowpair_tile(const trecx_rowpair_run *run);

#endif
