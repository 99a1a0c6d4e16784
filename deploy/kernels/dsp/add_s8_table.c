#include "trecx/arith.h"
#include "trecx/kernels/add_s8_dsp.h"

/* Twice the sum of both rescaled inputs is wanted, so that it can be requantised at once. */
#define HALF_SHIFT 20

/* table[i]: twice the rescaled value of the input i - 128, less the other input's zero point. */
static void make_table(const trecx_add_s8_table_params *p, int32_t *table) {
  const int32_t other = p->half_zero_point * (1 << HALF_SHIFT);
  for (int32_t i = 0; i < 256; i++) {
    const int32_t centred = i - 128 - p->scaled_zero_point;
    const int32_t value = trecx_multiply_by_quantized_multiplier(
        centred * (1 << HALF_SHIFT), p->scaled_multiplier, p->scaled_shift);
    table[i] = 2 * value - other;
  }
}

void trecx_add_s8_table(const trecx_add_s8_table_params *params, const int8_t *input1,
                        const int8_t *input2, int8_t *output, void *scratch) {
  const trecx_add_s8_table_params *const p = params;
  int32_t *const table = scratch;
  const int32_t *const at_zero = table + 128;
  const int8_t *const half = p->half_input ? input2 : input1;
  const int8_t *const scaled = p->half_input ? input1 : input2;
  make_table(p, table);
  const int32_t multiplier = p->output_multiplier, shift = p->output_shift;
  const int32_t offset = (2 * p->output_zero_point + 1) * (1 << shift);
  for (int32_t i = 0; i < p->count; i++) {
    const int32_t sum = at_zero[scaled[i]] + half[i] * (1 << HALF_SHIFT);
    const int32_t y = trecx_smmlar(sum, multiplier, offset + (sum >> 31)) >> shift;
    output[i] = (int8_t)trecx_half_to_s8(y);
  }
  trecx_clamp_bytes(output, p->count, p->activation_min, p->activation_max);
}
