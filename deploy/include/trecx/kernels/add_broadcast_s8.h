/* ADD of two int8 tensors whose shapes differ, or of which one is constant. */
#ifndef TRECX_KERNELS_ADD_BROADCAST_S8_H
#define TRECX_KERNELS_ADD_BROADCAST_S8_H

#include <stdint.h>

#include "trecx/kernels/add_s8.h"

/* output [dims[0]][dims[1]][dims[2]][dims[3]]; value (i, j, k, l) reads each input at
 * i * stride[0] + j * stride[1] + k * stride[2] + l * stride[3], a stride of 0 repeats values. */
typedef struct {
  int32_t dims[4];
  int32_t stride1[4], stride2[4];
  trecx_add_s8_scaling scaling;
  const int8_t *constant; /* the second operand of the _constant form */
} trecx_add_broadcast_s8_params;

/* output may be an input that has the output's shape. scratch: not used, may be NULL. */
void trecx_add_broadcast_s8(const trecx_add_broadcast_s8_params *params, const int8_t *input1,
                            const int8_t *input2, int8_t *output, void *scratch);

/* As above; the second operand is params->constant. */
void trecx_add_constant_s8(const trecx_add_broadcast_s8_params *params, const int8_t *input,
                           int8_t *output, void *scratch);

#endif
