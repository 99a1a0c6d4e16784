#include "trecx/kernels/add_broadcast_s8.h"

void trecx_add_broadcast_s8(const trecx_add_broadcast_s8_params *params, const int8_t *input1,
                            const int8_t *input2, int8_t *output, void *scratch) {
  const trecx_add_broadcast_s8_params *p = params;
  const int32_t *s1 = p->stride1, *s2 = p->stride2;
  (void)scratch;
  for (int32_t i = 0; i < p->dims[0]; i++) {
    for (int32_t j = 0; j < p->dims[1]; j++) {
      for (int32_t k = 0; k < p->dims[2]; k++) {
        const int8_t *a = input1 + i * s1[0] + j * s1[1] + k * s1[2];
        const int8_t *b = input2 + i * s2[0] + j * s2[1] + k * s2[2];
        for (int32_t l = 0; l < p->dims[3]; l++, a += s1[3], b += s2[3]) {
          *output++ = trecx_add_s8_value(&p->scaling, *a, *b);
        }
      }
    }
  }
}

void trecx_add_constant_s8(const trecx_add_broadcast_s8_params *params, const int8_t *input,
                           int8_t *output, void *scratch) {
  trecx_add_broadcast_s8(params, input, params->constant, output, scratch);
}
