#include "trecx/kernels/table_s8.h"

void trecx_table_s8(const trecx_table_s8_params *params, const int8_t *input, int8_t *output,
                    void *scratch) {
  const int8_t *middle = params->table + 128;
  const int8_t *end = input + params->count;
  (void)scratch;
  while (input < end) *output++ = middle[*input++];
}
