#include "trecx/kernels/pad_s8.h"

#include <string.h>

void trecx_pad_s8(const trecx_pad_s8_params *params, const int8_t *input, int8_t *output,
                  void *scratch) {
  memset(output, params->value, (size_t)params->output_bytes);
  trecx_copy_s8(&params->copy, input, output, scratch);
}
