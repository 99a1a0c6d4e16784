#define TRECX_STRASSEN_SHIFT 11
#include "trecx/dsp/strassen_inner.h"

void trecx_conv2d_1x1_s8_strassen_11(const trecx_conv2d_1x1_s8_strassen_params *params,
                                     const int8_t *input, int8_t *output, void *scratch) {
  trecx_strassen(params, input, output, scratch);
}
