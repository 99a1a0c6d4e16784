#include "trecx/kernels/fully_connected_s8.h"

#include "trecx/arith.h"

void trecx_fully_connected_s8(const trecx_fully_connected_s8_params *params, const int8_t *input,
                              int8_t *output, void *scratch) {
  const trecx_fully_connected_s8_params *p = params;
  (void)scratch;
  for (int32_t row = 0; row < p->rows; row++) {
    const int8_t *weights = p->weights;
    for (int32_t o = 0; o < p->units; o++) {
      int32_t dot = 0;
      for (int32_t i = 0; i < p->inputs; i++) dot += input[i] * weights[i];
      *output++ =
          trecx_requantize(trecx_wrapping_add(dot, p->bias[o]), p->multiplier[o], p->shift[o],
                           p->output_offset, p->activation_min, p->activation_max);
      weights += p->inputs;
    }
    input += p->inputs;
  }
}
