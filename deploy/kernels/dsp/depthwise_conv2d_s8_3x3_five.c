#include "trecx/dsp/depthwise_inner.h"

void trecx_depthwise_conv2d_s8_3x3_five(const trecx_depthwise_conv2d_s8_3x3_params *params,
                                        const int8_t *input, int8_t *output, void *scratch) {
  static const trecx_depthwise_shape fast = {1, TRECX_STRIP_WORDS_1, trecx_depthwise_strip_5,
                                             trecx_depthwise_spread_1};
  static const trecx_depthwise_shape general = {
      1, TRECX_STRIP_WORDS_1, trecx_depthwise_strip_5_general, trecx_depthwise_spread_1};
  const trecx_depthwise_shape *const shape = params->constants.fast_shift ? &fast : &general;
  trecx_depthwise(params, shape, input, output, scratch);
}
