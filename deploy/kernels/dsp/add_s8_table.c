#include "trecx/arith.h"
#include "trecx/dsp/add_inner.h"
#include "trecx/kernels/add_s8_dsp.h"

/* table[i]: twice the rescaled value of the input i - 128, less the other input's zero point: twice
 * the sum of both inputs goes into the requantisation. */
static void make_table(const trecx_add_s8_table_params *p, int32_t *table) {
  const int32_t other = p->half_zero_point * (1 << TRECX_ADD_HALF_SHIFT);
  for (int32_t i = 0; i < 256; i++) {
    const int32_t centred = (i - 128 - p->scaled_zero_point) * (1 << 20);
    const int32_t value =
        trecx_multiply_by_quantized_multiplier(centred, p->scaled_multiplier, p->scaled_shift);
    table[i] = 2 * value - other;
  }
}

void trecx_add_s8_table(const trecx_add_s8_table_params *params, const int8_t *input1,
                        const int8_t *input2, int8_t *output, void *scratch) {
  const trecx_add_s8_table_params *const p = params;
  int32_t *const table = scratch;
  const trecx_add_run run = {
      .half = p->half_input ? input2 : input1,
      .scaled = p->half_input ? input1 : input2,
      .table = table + 128,
      .requant = {p->output_multiplier, (2 * p->output_zero_point + 1) * (1 << p->output_shift),
                  p->output_shift}};
  make_table(p, table);
  trecx_add_values(&run, output, p->count);
  trecx_clamp_bytes(output, p->count, p->activation_min, p->activation_max);
}
