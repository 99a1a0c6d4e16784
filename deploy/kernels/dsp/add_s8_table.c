#include "trecx/arith.h"
#include "trecx/dsp/add_inner.h"
#include "trecx/kernels/add_s8_dsp.h"

/* table[i]: the rescaled value of the input i - 128, less the other input's zero point, as the
 * requantisation takes the sum: times 2 or, in the fast form, times 4. */
static void make_table(const trecx_add_s8_table_params *p, int32_t *table) {
  const int32_t factor = p->fast_shift ? 4 : 2;
  const int32_t other = p->half_zero_point * (1 << (TRECX_ADD_HALF_SHIFT - 1));
  for (int32_t i = 0; i < 256; i++) {
    const int32_t centred = (i - 128 - p->scaled_zero_point) * (1 << 20);
    const int32_t value =
        trecx_multiply_by_quantized_multiplier(centred, p->scaled_multiplier, p->scaled_shift);
    table[i] = factor * (value - other);
  }
}

/* c of trecx/dsp/arith.h. */
static int32_t requantisation_offset(const trecx_add_s8_table_params *p) {
  const int32_t twice_zero = 2 * p->output_zero_point + 1;
  if (p->fast_shift) return twice_zero * (1 << (p->fast_shift - 1)) + 1;
  return twice_zero * (1 << p->output_shift);
}

void trecx_add_s8_table(const trecx_add_s8_table_params *params, const int8_t *input1,
                        const int8_t *input2, int8_t *output, void *scratch) {
  const trecx_add_s8_table_params *const p = params;
  int32_t *const table = scratch;
  const trecx_add_run run = {
      .half = p->half_input ? input2 : input1,
      .scaled = p->half_input ? input1 : input2,
      .table = table + 128,
      .requant = {p->output_multiplier, requantisation_offset(p), p->output_shift}};
  make_table(p, table);
  if (p->fast_shift == 19) {
    trecx_add_fast_values_19(&run, output, p->count);
  } else if (p->fast_shift == 20) {
    trecx_add_fast_values_20(&run, output, p->count);
  } else {
    trecx_add_values(&run, output, p->count);
  }
  trecx_clamp_bytes(output, p->count, p->activation_min, p->activation_max);
}
