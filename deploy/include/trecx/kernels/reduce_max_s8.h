/* REDUCE_MAX, int8, over any axes. */
#ifndef TRECX_KERNELS_REDUCE_MAX_S8_H
#define TRECX_KERNELS_REDUCE_MAX_S8_H

#include <stdint.h>

/* The input's dimensions, neighbours joined where possible, are two kept and two reduced ones:
 * output [kept[0]][kept[1]]; output value (i, j) reads the input values at
 * i * kept_stride[0] + j * kept_stride[1] + k * reduced_stride[0] + l * reduced_stride[1]
 * for all k < reduced[0], l < reduced[1]. Sizes are at least 1, strides are in values. */
typedef struct {
  int32_t kept[2], kept_stride[2];
  int32_t reduced[2], reduced_stride[2];
} trecx_reduce_max_s8_params;

/* scratch: not used, may be NULL. */
void trecx_reduce_max_s8(const trecx_reduce_max_s8_params *params, const int8_t *input,
                         int8_t *output, void *scratch);

#endif
