/* The inner loops of dsp/conv2d_s8_winograd4.c: assembly, or plain C where there is no DSP
 * extension. The algorithm is described in trecx/kernels/conv2d_s8_dsp.h. */
#ifndef TRECX_DSP_WINOGRAD4_INNER_H
#define TRECX_DSP_WINOGRAD4_INNER_H

#include "trecx/dsp/arith.h"

#define TRECX_WINOGRAD4_POINTS 36

/* Added to the lower lane of every transformed input, so that it is never negative. */
#define TRECX_WINOGRAD4_LANE_OFFSET 0x4000

/* The second shift of the fast requantisation. */
#define TRECX_WINOGRAD4_FAST_SHIFT 12

/* Six rows of six pixels in four channels, to two words for each of the 36 points. The assembly
 * relies on the order of the fields.
 * pixel, row, point: bytes from a pixel, row or point to the next. temporary: 36 words. */
typedef struct {
  const int8_t *input;
  int32_t pixel, row;
  uint32_t *temporary;
  uint32_t *output;
  int32_t point;
} trecx_winograd4_input;

/* Products at all points of two filters with two tiles: sums[filter][tile][36].
 * skip: 16 less the groups of four input channels.
 * filters: for each point two start values, then [group][2 words of lanes][2 filters].
 * tiles: for each point [group][2 words of lanes][2 tiles]. */
typedef struct {
  int32_t skip;
  int32_t *sums, *end; /* of the first filter and tile */
  const uint32_t *tiles, *filters;
} trecx_winograd4_product;

/* The sums of one filter and tile to 4x4 outputs. constants: trecx_winograd4_factors.
 * shift: fast form: 5 - d; general form: e - 1. temporary: 24 words. */
typedef struct {
  int32_t multiplier, offset, shift;
  int32_t pixel; /* bytes from an output pixel to the next */
  const int32_t *factors;
  int32_t row; /* bytes from an output row to the next */
  int32_t fast;
  const int32_t *sums;
  int32_t *temporary;
  int8_t *output;
} trecx_winograd4_output;

/* The inverse of 9 modulo 2^32, times powers of two: for each output row the factors of its first,
 * second and of its last two pixels. */
static const int32_t trecx_winograd4_factors[4][3] = {
    {954437177, 1908874354, -477218588},
    {1908874354, -477218588, -954437176},
    {-477218588, -954437176, -1908874352},
    {-477218588, -954437176, -1908874352},
};

#if defined(__ARM_FEATURE_DSP)
#include "trecx/dsp/winograd4_asm.h"
#else
#include "trecx/dsp/winograd4_portable.h"
#endif

#endif
