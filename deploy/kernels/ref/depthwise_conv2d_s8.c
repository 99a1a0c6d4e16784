#include "trecx/kernels/depthwise_conv2d_s8.h"

#include "trecx/arith.h"

/* Sum over the window of one output channel whose top left tap is at (in_y0, in_x0). */
static int32_t window_dot(const trecx_depthwise_conv2d_s8_params *p, const int8_t *input,
                          int32_t in_channel, int32_t channel, int32_t in_y0, int32_t in_x0) {
  const int32_t channels = p->input_channels * p->channel_multiplier;
  const int8_t *weight = p->weights + channel;
  int32_t sum = 0;
  for (int32_t ky = 0; ky < p->kernel_height; ky++) {
    const int32_t in_y = in_y0 + ky * p->dilation_height;
    for (int32_t kx = 0; kx < p->kernel_width; kx++) {
      const int32_t in_x = in_x0 + kx * p->dilation_width;
      if (in_y >= 0 && in_y < p->input_height && in_x >= 0 && in_x < p->input_width) {
        const int32_t pixel = in_y * p->input_width + in_x;
        sum += (input[pixel * p->input_channels + in_channel] + p->input_offset) * *weight;
      }
      weight += channels;
    }
  }
  return sum;
}

void trecx_depthwise_conv2d_s8(const trecx_depthwise_conv2d_s8_params *params, const int8_t *input,
                               int8_t *output, void *scratch) {
  const trecx_depthwise_conv2d_s8_params *p = params;
  (void)scratch;
  for (int32_t y = 0; y < p->output_height; y++) {
    const int32_t in_y0 = y * p->stride_height - p->pad_top;
    for (int32_t x = 0; x < p->output_width; x++) {
      const int32_t in_x0 = x * p->stride_width - p->pad_left;
      int32_t o = 0;
      for (int32_t c = 0; c < p->input_channels; c++) {
        for (int32_t m = 0; m < p->channel_multiplier; m++, o++) {
          const int32_t dot = window_dot(p, input, c, o, in_y0, in_x0);
          *output++ =
              trecx_requantize(trecx_wrapping_add(dot, p->bias[o]), p->multiplier[o], p->shift[o],
                               p->output_offset, p->activation_min, p->activation_max);
        }
      }
    }
  }
}
