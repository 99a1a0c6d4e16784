/* Depthwise convolution of any shape: lanes are four neighbouring channels, in 32 bits. */
#include "trecx/kernels/depthwise_conv2d_s8_mve.h"
#include "trecx/mve_arith.h"

/* First and one-behind-last tap of a window dimension that lie inside the image. */
typedef struct {
  int32_t first, end;
} taps;

static taps taps_inside(int32_t start, int32_t dilation, int32_t kernel, int32_t size) {
  taps t = {0, kernel};
  while (t.first < kernel && start + t.first * dilation < 0) t.first++;
  while (t.end > t.first && start + (t.end - 1) * dilation >= size) t.end--;
  return t;
}

/* trecx_multiply_by_quantized_multiplier in every lane: shifts to either side. */
static inline int32x4_t rescale(int32x4_t x, int32x4_t multiplier, int32x4_t shift) {
  const int32x4_t right = vminq_s32(shift, vdupq_n_s32(0));
  const int32x4_t left = vmaxq_s32(shift, vdupq_n_s32(0));
  const int32x4_t product = vqrdmulhq_s32(vshlq_s32(x, left), multiplier);
  /* -1 where the product is negative and there is a right shift: ties go away from zero. */
  const int32x4_t correction = vshrq_n_s32(vandq_s32(product, right), 31);
  return vrshlq_s32(vaddq_s32(product, correction), right);
}

/* Four channels from c on (those of `lanes`) of the window whose first tap is at (y, x). */
static inline int32x4_t window_dot(const trecx_depthwise_conv2d_s8_params *p, const int8_t *input,
                                   taps rows, taps columns, int32_t y, int32_t x, int32_t c,
                                   mve_pred16_t lanes) {
  const int32_t channels = p->input_channels, offset = p->input_offset;
  const int32_t step = p->dilation_width * channels;
  int32x4_t sum = vdupq_n_s32(0);
  for (int32_t ky = rows.first; ky < rows.end; ky++) {
    const int32_t in_y = y + ky * p->dilation_height;
    const int32_t in_x = x + columns.first * p->dilation_width;
    const int8_t *in = input + (in_y * p->input_width + in_x) * channels + c;
    const int8_t *weights = p->weights + (ky * p->kernel_width + columns.first) * channels + c;
    for (int32_t left = columns.end - columns.first; left > 0; left--) {
      const int32x4_t value = vaddq_n_s32(vldrbq_z_s32(in, lanes), offset);
      sum = vaddq_s32(sum, vmulq_s32(value, vldrbq_z_s32(weights, lanes)));
      in += step;
      weights += channels;
    }
  }
  return sum;
}

void trecx_depthwise_conv2d_s8_mve_lanes(const trecx_depthwise_conv2d_s8_params *params,
                                         const int8_t *input, int8_t *output, void *scratch) {
  const trecx_depthwise_conv2d_s8_params *p = params;
  const int32x4_t low = vdupq_n_s32(p->activation_min), high = vdupq_n_s32(p->activation_max);
  (void)scratch;
  for (int32_t out_y = 0; out_y < p->output_height; out_y++) {
    const int32_t y = out_y * p->stride_height - p->pad_top;
    const taps rows = taps_inside(y, p->dilation_height, p->kernel_height, p->input_height);
    for (int32_t out_x = 0; out_x < p->output_width; out_x++) {
      const int32_t x = out_x * p->stride_width - p->pad_left;
      const taps columns = taps_inside(x, p->dilation_width, p->kernel_width, p->input_width);
      for (int32_t c = 0; c < p->input_channels; c += 4) {
        const mve_pred16_t lanes = vctp32q((uint32_t)(p->input_channels - c));
        const int32x4_t dot = window_dot(p, input, rows, columns, y, x, c, lanes);
        const int32x4_t sum = vaddq_s32(dot, vldrwq_z_s32(p->bias + c, lanes));
        const int32x4_t scaled =
            rescale(sum, vldrwq_z_s32(p->multiplier + c, lanes), vldrbq_z_s32(p->shift + c, lanes));
        const int32x4_t value = vaddq_n_s32(scaled, p->output_offset);
        vstrbq_p_s32(output + c, vminq_s32(vmaxq_s32(value, low), high), lanes);
      }
      output += p->input_channels;
    }
  }
}
