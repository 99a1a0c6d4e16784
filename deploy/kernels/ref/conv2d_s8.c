#include "trecx/kernels/conv2d_s8.h"

#include "trecx/arith.h"
#include "window.h"

/* Where the window of one output pixel lies: its top left tap, and the taps inside the image. */
typedef struct {
  int32_t in_y, in_x;
  trecx_taps y, x;
} window;

static int32_t window_dot(const trecx_conv2d_s8_params *p, const window *at, const int8_t *input,
                          const int8_t *weights) {
  const int32_t offset = p->input_offset;
  const int32_t channels = p->kernel_channels;
  int32_t sum = 0;
  for (int32_t ky = at->y.begin; ky < at->y.end; ky++) {
    const int32_t in_y = at->in_y + ky * p->dilation_height;
    for (int32_t kx = at->x.begin; kx < at->x.end; kx++) {
      const int32_t in_x = at->in_x + kx * p->dilation_width;
      const int8_t *in = input + (in_y * p->input_width + in_x) * p->input_channels;
      const int8_t *weight = weights + (ky * p->kernel_width + kx) * channels;
      for (int32_t c = 0; c < channels; c++) sum += (in[c] + offset) * weight[c];
    }
  }
  return sum;
}

/* All output channels of one pixel. */
static void convolve_pixel(const trecx_conv2d_s8_params *p, const window *at, const int8_t *input,
                           int8_t *output) {
  const int32_t filter_size = p->kernel_height * p->kernel_width * p->kernel_channels;
  const int8_t *weights = p->weights;
  int32_t left_in_group = p->group_outputs;
  for (int32_t o = 0; o < p->output_channels; o++, weights += filter_size) {
    if (left_in_group == 0) {
      input += p->kernel_channels;
      left_in_group = p->group_outputs;
    }
    left_in_group--;
    const int32_t acc = trecx_wrapping_add(window_dot(p, at, input, weights), p->bias[o]);
    output[o] = trecx_requantize(acc, p->multiplier[o], p->shift[o], p->output_offset,
                                 p->activation_min, p->activation_max);
  }
}

void trecx_conv2d_s8(const trecx_conv2d_s8_params *params, const int8_t *input, int8_t *output,
                     void *scratch) {
  const trecx_conv2d_s8_params *p = params;
  window at;
  (void)scratch;
  for (int32_t y = 0; y < p->output_height; y++) {
    at.in_y = y * p->stride_height - p->pad_top;
    at.y = trecx_taps_inside(at.in_y, p->kernel_height, p->dilation_height, p->input_height);
    for (int32_t x = 0; x < p->output_width; x++) {
      at.in_x = x * p->stride_width - p->pad_left;
      at.x = trecx_taps_inside(at.in_x, p->kernel_width, p->dilation_width, p->input_width);
      convolve_pixel(p, &at, input, output);
      output += p->output_channels;
    }
  }
}
