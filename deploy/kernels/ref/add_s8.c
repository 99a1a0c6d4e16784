#include "trecx/kernels/add_s8.h"

#include "trecx/arith.h"

#define LEFT_SHIFT 20

static int32_t rescale(int8_t value, int32_t offset, int32_t multiplier, int32_t shift) {
  return trecx_multiply_by_quantized_multiplier((value + offset) * (1 << LEFT_SHIFT), multiplier,
                                                shift);
}

int8_t trecx_add_s8_value(const trecx_add_s8_scaling *scaling, int8_t a, int8_t b) {
  const trecx_add_s8_scaling *s = scaling;
  const int32_t sum = rescale(a, s->input1_offset, s->input1_multiplier, s->input1_shift) +
                      rescale(b, s->input2_offset, s->input2_multiplier, s->input2_shift);
  return trecx_requantize(sum, s->output_multiplier, s->output_shift, s->output_offset,
                          s->activation_min, s->activation_max);
}

void trecx_add_s8(const trecx_add_s8_params *params, const int8_t *input1, const int8_t *input2,
                  int8_t *output, void *scratch) {
  (void)scratch;
  for (int32_t i = 0; i < params->count; i++) {
    output[i] = trecx_add_s8_value(&params->scaling, input1[i], input2[i]);
  }
}
