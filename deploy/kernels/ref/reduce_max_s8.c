#include "trecx/kernels/reduce_max_s8.h"

static int8_t max_of(const trecx_reduce_max_s8_params *p, const int8_t *input) {
  int8_t largest = INT8_MIN;
  for (int32_t k = 0; k < p->reduced[0]; k++) {
    const int8_t *in = input + k * p->reduced_stride[0];
    for (int32_t l = 0; l < p->reduced[1]; l++, in += p->reduced_stride[1]) {
      if (*in > largest) largest = *in;
    }
  }
  return largest;
}

void trecx_reduce_max_s8(const trecx_reduce_max_s8_params *params, const int8_t *input,
                         int8_t *output, void *scratch) {
  const trecx_reduce_max_s8_params *p = params;
  (void)scratch;
  for (int32_t i = 0; i < p->kept[0]; i++) {
    for (int32_t j = 0; j < p->kept[1]; j++) {
      *output++ = max_of(p, input + i * p->kept_stride[0] + j * p->kept_stride[1]);
    }
  }
}
