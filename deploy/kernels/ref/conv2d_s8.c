#include "trecx/kernels/conv2d_s8.h"

#include "trecx/arith.h"

/* Sum over the window whose top left tap is at (in_y0, in_x0); taps in the padding add nothing. */
static int32_t window_dot(const trecx_conv2d_s8_params *p, const int8_t *input,
                          const int8_t *weights, int32_t in_y0, int32_t in_x0) {
  int32_t sum = 0;
  for (int32_t ky = 0; ky < p->kernel_height; ky++) {
    const int32_t in_y = in_y0 + ky * p->dilation_height;
    for (int32_t kx = 0; kx < p->kernel_width; kx++) {
      const int32_t in_x = in_x0 + kx * p->dilation_width;
      if (in_y >= 0 && in_y < p->input_height && in_x >= 0 && in_x < p->input_width) {
        const int8_t *in = input + (in_y * p->input_width + in_x) * p->input_channels;
        for (int32_t c = 0; c < p->kernel_channels; c++) {
          sum += (in[c] + p->input_offset) * weights[c];
        }
      }
      weights += p->kernel_channels;
    }
  }
  return sum;
}

void trecx_conv2d_s8(const trecx_conv2d_s8_params *params, const int8_t *input, int8_t *output,
                     void *scratch) {
  const trecx_conv2d_s8_params *p = params;
  const int32_t filter_size = p->kernel_height * p->kernel_width * p->kernel_channels;
  (void)scratch;
  for (int32_t y = 0; y < p->output_height; y++) {
    const int32_t in_y0 = y * p->stride_height - p->pad_top;
    for (int32_t x = 0; x < p->output_width; x++) {
      const int32_t in_x0 = x * p->stride_width - p->pad_left;
      const int8_t *group_input = input;
      int32_t left_in_group = p->group_outputs;
      for (int32_t o = 0; o < p->output_channels; o++) {
        if (left_in_group == 0) {
          group_input += p->kernel_channels;
          left_in_group = p->group_outputs;
        }
        left_in_group--;
        const int32_t dot = window_dot(p, group_input, p->weights + o * filter_size, in_y0, in_x0);
        *output++ =
            trecx_requantize(trecx_wrapping_add(dot, p->bias[o]), p->multiplier[o], p->shift[o],
                             p->output_offset, p->activation_min, p->activation_max);
      }
    }
  }
}
