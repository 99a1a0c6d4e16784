/* SOFTMAX over the last dimension, int8; output scale 1/256, zero point -128. */
#ifndef TRECX_KERNELS_SOFTMAX_S8_H
#define TRECX_KERNELS_SOFTMAX_S8_H

#include <stdint.h>

/* input and output [rows][depth], depth from 1 to 4095. exp_table[d]: exp(-beta * input scale * d)
 * in Q0.31 for d < exp_count <= 256; zero from there on. */
typedef struct {
  int32_t rows, depth;
  int32_t exp_count;
  const int32_t *exp_table;
} trecx_softmax_s8_params;

/* An exponential, Q0.31 and not negative, as it is summed: Q12.19, rounded to nearest. */
static inline int32_t trecx_softmax_s8_addend(int32_t exponential) {
  return (int32_t)(((uint32_t)exponential + (1u << 11)) >> 12);
}

/* output may be the input. scratch: not used, may be NULL. */
void trecx_softmax_s8(const trecx_softmax_s8_params *params, const int8_t *input, int8_t *output,
                      void *scratch);

#endif
