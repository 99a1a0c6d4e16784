#include "trecx/kernels/depthwise_conv2d_s8.h"

#include "trecx/arith.h"
#include "window.h"

/* Where the window of one output pixel lies: its top left tap, and the taps inside the image. */
typedef struct {
  int32_t in_y, in_x;
  trecx_taps y, x;
} window;

/* input: of the channel that is read; weights: of the output channel. */
static int32_t window_dot(const trecx_depthwise_conv2d_s8_params *p, const window *at,
                          const int8_t *input, const int8_t *weights, int32_t output_channels) {
  const int32_t offset = p->input_offset;
  const int32_t step = p->dilation_width * p->input_channels;
  const int32_t in_x = at->in_x + at->x.begin * p->dilation_width;
  int32_t sum = 0;
  for (int32_t ky = at->y.begin; ky < at->y.end; ky++) {
    const int32_t in_y = at->in_y + ky * p->dilation_height;
    const int8_t *in = input + (in_y * p->input_width + in_x) * p->input_channels;
    const int8_t *weight = weights + (ky * p->kernel_width + at->x.begin) * output_channels;
    for (int32_t kx = at->x.begin; kx < at->x.end; kx++) {
      sum += (*in + offset) * *weight;
      in += step;
      weight += output_channels;
    }
  }
  return sum;
}

/* All output channels of one pixel. */
static void convolve_pixel(const trecx_depthwise_conv2d_s8_params *p, const window *at,
                           const int8_t *input, int8_t *output) {
  const int32_t output_channels = p->input_channels * p->channel_multiplier;
  int32_t o = 0;
  for (int32_t c = 0; c < p->input_channels; c++) {
    for (int32_t m = 0; m < p->channel_multiplier; m++, o++) {
      const int32_t dot = window_dot(p, at, input + c, p->weights + o, output_channels);
      output[o] =
          trecx_requantize(trecx_wrapping_add(dot, p->bias[o]), p->multiplier[o], p->shift[o],
                           p->output_offset, p->activation_min, p->activation_max);
    }
  }
}

void trecx_depthwise_conv2d_s8(const trecx_depthwise_conv2d_s8_params *params, const int8_t *input,
                               int8_t *output, void *scratch) {
  const trecx_depthwise_conv2d_s8_params *p = params;
  window at;
  (void)scratch;
  for (int32_t y = 0; y < p->output_height; y++) {
    at.in_y = y * p->stride_height - p->pad_top;
    at.y = trecx_taps_inside(at.in_y, p->kernel_height, p->dilation_height, p->input_height);
    for (int32_t x = 0; x < p->output_width; x++) {
      at.in_x = x * p->stride_width - p->pad_left;
      at.x = trecx_taps_inside(at.in_x, p->kernel_width, p->dilation_width, p->input_width);
      convolve_pixel(p, &at, input, output);
      output += p->input_channels * p->channel_multiplier;
    }
  }
}
