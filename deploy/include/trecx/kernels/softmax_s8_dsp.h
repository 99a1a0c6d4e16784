/* SOFTMAX of two classes, int8; output scale 1/256, zero point -128. For any instruction set. */
#ifndef TRECX_KERNELS_SOFTMAX_S8_DSP_H
#define TRECX_KERNELS_SOFTMAX_S8_DSP_H

#include <stdint.h>

/* input and output [rows][2]. table[d + 255]: probability of a class whose input is d above the
 * other's, d from -255 to 255. */
typedef struct {
  const int8_t *table;
  int32_t rows;
} trecx_softmax_s8_pair_params;

/* output may be the input. scratch: not used, may be NULL. */
void trecx_softmax_s8_pair(const trecx_softmax_s8_pair_params *params, const int8_t *input,
                           int8_t *output, void *scratch);

#endif
