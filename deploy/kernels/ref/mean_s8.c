#include "trecx/kernels/mean_s8.h"

#include "trecx/arith.h"

static int32_t sum_of(const trecx_mean_s8_params *p, const int8_t *input) {
  int32_t sum = 0;
  for (int32_t k = 0; k < p->reduced[0]; k++) {
    const int8_t *in = input + k * p->reduced_stride[0];
    for (int32_t l = 0; l < p->reduced[1]; l++, in += p->reduced_stride[1]) sum += *in;
  }
  return sum;
}

void trecx_mean_s8(const trecx_mean_s8_params *params, const int8_t *input, int8_t *output,
                   void *scratch) {
  const trecx_mean_s8_params *p = params;
  (void)scratch;
  for (int32_t i = 0; i < p->kept[0]; i++) {
    for (int32_t j = 0; j < p->kept[1]; j++) {
      const int32_t sum = sum_of(p, input + i * p->kept_stride[0] + j * p->kept_stride[1]);
      *output++ = trecx_requantize(sum + p->bias, p->multiplier, p->shift, p->output_offset,
                                   INT8_MIN, INT8_MAX);
    }
  }
}
