/* 1x1 convolutions by Strassen's algorithm in Winograd's form: seven products of half as many
 * channels instead of eight. Four pixels pass over four filters at a time.
 *
 * With the inputs' channels in two halves, A11 and A12 are the halves of a pair of pixels, A21 and
 * A22 those of the second pair; B11 and B21 are the halves of a pair of filters, B12 and B22 those
 * of the second pair. The sums C11, C12 (second filters), C21 (second pixels), C22 are
 *
 *   S1 = A21 + A22   S2 = S1 - A11   S3 = A11 - A21   S4 = A12 - S2
 *   T1 = B12 - B11   T2 = B22 - T1   T3 = B22 - B12   T4 = T2 - B21
 *   C11 = A11 B11 + A12 B21             U2 = A11 B11 + S2 T2    U3 = U2 + S3 T3
 *   C21 = U3 - A22 T4                   C22 = U3 + S1 T1        C12 = U2 + S1 T1 + S4 B22
 *
 * in integers, so that nothing is lost. Weights and requantisation (the fast form) are as in
 * trecx/dsp/wide.h, but for the second shift, E; the T must fit 16 bits, shifted.
 *
 * Layouts, for halves of `groups` groups of four channels:
 *
 *   tile     A11, A12, S2, S3, A22, S1, S4: each [group][2 words of lanes: channels (0, 2), (1, 3)]
 *            [2 pixels], and a word that says where the assembly goes on
 *   weights  for each four filters: the first two's biases; B11, B21, each [group][2 words of
 *            lanes][2 filters]; multiplier and offset of the first two; T2, T3, -T4; the same
 *            multipliers and offsets; bias of the second two less that of the first; T1, B22;
 *            multiplier and offset of the second two */
#ifndef TRECX_DSP_STRASSEN_H
#define TRECX_DSP_STRASSEN_H

#include "trecx/dsp/wide.h"

#define TRECX_STRASSEN_PARTS 7
#define TRECX_STRASSEN_MOST_GROUPS 16

/* The filters, and the tile they are applied to. The assembly relies on the order of the fields.
 * output: of the first pixel; pixel_step: bytes to the second; second: to the second pair.
 * first_entry, entry: where the assembly begins with a part's second group, or its first one. */
typedef struct {
  int8_t *output;
  int32_t pixel_step, second;
  const uint32_t *end; /* of the weights */
  uint32_t *tile;
  uintptr_t first_entry, entry;
  const uint32_t *weights;
  int32_t groups;
} trecx_strassen_run;

/* What is transformed for one pixel of each pair. half: bytes of half the channels, less 4;
 * part_bytes: of a part of the tile. The assembly relies on the order of the fields. */
typedef struct {
  const int8_t *a, *b;
  uint32_t *to;
  int32_t half;
  int32_t part_bytes;
  int32_t groups;
} trecx_strassen_input;

#endif
