/* Product of a group of patches (rows of int8 values) and pairs of filters, requantised: the inner
 * part of Helium convolutions.
 *
 * Patches are in blocks of four or three. In a block, the first 32 values of each patch lie
 * together, patch by patch; then follow the other values in chunks of 16, of each chunk those of
 * all patches. A pair's record has its weights in the same chunks, first and second filter in turn,
 * and its requantisation in bytes (trecx/kernels/conv2d_s8_mve.h). A block times a pair takes eight
 * accumulators. For each pair all blocks are computed; 32 weights of each filter stay in registers
 * meanwhile, the others are streamed. */
#ifndef TRECX_MVE_PRODUCT_H
#define TRECX_MVE_PRODUCT_H

#include <stdint.h>

typedef struct {
  int32_t requantisation[6]; /* of the pair; these eight words are read by one LDM */
  int32_t zero_point;
  int32_t output_step;       /* from block to block */
  uint16_t offsets[8];       /* of a block's outputs, patch by patch, the two filters in turn */
  uint16_t short_offsets[8]; /* of a block of three; the last two repeat those before */
  uint8_t wide_offsets[16];  /* of two blocks, values of the two in turn */
  int32_t short_step;
  int32_t short_blocks;
  const int8_t *patches; /* these two are read by one LDRD */
  int32_t blocks;
  const int8_t *packed;
  int8_t *output;
  const int8_t *packed_end;
  int32_t weight_bytes;
  int32_t streamed; /* chunks beyond the two that stay in registers */
  int32_t correct_ties;
} trecx_mve_product;

/* `blocks` blocks of four, any number of chunks from 2 on. All change `output`. */
void trecx_mve_multiply(trecx_mve_product *work);

/* `short_blocks` blocks of three. */
void trecx_mve_multiply_short(trecx_mve_product *work);

/* Two chunks. _relu: no correction of ties; by_two: an even number of blocks, up to 36 channels,
 * zero_point = -128. */
void trecx_mve_multiply_narrow(trecx_mve_product *work);
void trecx_mve_multiply_narrow_relu(trecx_mve_product *work);
void trecx_mve_multiply_narrow_by_two_relu(trecx_mve_product *work);

#endif
