#include "trecx/dsp/depthwise_inner.h"

void trecx_depthwise_conv2d_s8_3x3(const trecx_depthwise_conv2d_s8_3x3_params *params,
                                   const int8_t *input, int8_t *output, void *scratch) {
  static const trecx_depthwise_shape shape = {1, TRECX_STRIP_WORDS_1, trecx_depthwise_strip_1,
                                              trecx_depthwise_spread_1};
  trecx_depthwise(params, &shape, input, output, scratch);
}
