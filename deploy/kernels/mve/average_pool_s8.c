/* Average pooling: lanes are channels, sums are 16-bit. */
#include "trecx/kernels/average_pool_s8_mve.h"
#include "trecx/mve_arith.h"

/* The part of a window that lies inside the image. */
typedef struct {
  const int8_t *corner;
  int32_t rows, columns;
  int32_t channels, row_bytes; /* steps in the input */
} window;

/* Sum / count, rounded to nearest, ties away from zero. The division is a multiplication by
 * reciprocal = ceil(2^32 / count), which is exact for 16-bit sums; count = 1 has none, and 0 stands
 * for it. */
static __attribute__((noinline)) int16x8_t mean(int16x8_t sum, int32_t count, uint32_t reciprocal) {
  const uint16x8_t magnitude = vreinterpretq_u16_s16(vabsq_s16(sum));
  const uint16x8_t raised = vaddq_n_u16(magnitude, (uint16_t)(count / 2));
  const uint32x4_t factor = vdupq_n_u32(reciprocal);
  const uint32x4_t even = vmulhq_u32(vmovlbq_u16(raised), factor);
  const uint32x4_t odd = vmulhq_u32(vmovltq_u16(raised), factor);
  const int16x8_t mean = vreinterpretq_s16_u16(vmovntq_u32(vreinterpretq_u16_u32(even), odd));
  if (reciprocal == 0) return sum;
  return vnegq_m_s16(mean, mean, vcmpltq_n_s16(sum, 0));
}

/* 32 channels. */
static void pool_32(const window *w, int32_t count, uint32_t reciprocal, int8_t *output) {
  const int32_t step = w->channels;
  int16x8_t a = vdupq_n_s16(0), b = a, c = a, d = a;
  for (int32_t y = 0; y < w->rows; y++) {
    const int8_t *at = w->corner + y * w->row_bytes;
    for (int32_t left = w->columns; left > 0; left--) {
      a = vaddq_s16(a, vldrbq_s16(at));
      b = vaddq_s16(b, vldrbq_s16(at + 8));
      c = vaddq_s16(c, vldrbq_s16(at + 16));
      d = vaddq_s16(d, vldrbq_s16(at + 24));
      at += step;
    }
  }
  vstrbq_s16(output, mean(a, count, reciprocal));
  vstrbq_s16(output + 8, mean(b, count, reciprocal));
  vstrbq_s16(output + 16, mean(c, count, reciprocal));
  vstrbq_s16(output + 24, mean(d, count, reciprocal));
}

/* Up to eight channels. */
static void pool_8(const window *w, int32_t count, uint32_t reciprocal, int8_t *output,
                   int32_t channels) {
  const mve_pred16_t lanes = vctp16q((uint32_t)channels);
  int16x8_t sum = vdupq_n_s16(0);
  for (int32_t y = 0; y < w->rows; y++) {
    const int8_t *at = w->corner + y * w->row_bytes;
    for (int32_t left = w->columns; left > 0; left--) {
      sum = vaddq_s16(sum, vldrbq_z_s16(at, lanes));
      at += w->channels;
    }
  }
  vstrbq_p_s16(output, mean(sum, count, reciprocal), lanes);
}

static void pool_pixel(window w, int8_t *output) {
  const int32_t count = w.rows * w.columns;
  const uint32_t reciprocal = UINT32_MAX / (uint32_t)count + 1u;
  int32_t left = w.channels;
  if (w.row_bytes == w.columns * w.channels) { /* one run */
    w.columns = count;
    w.rows = 1;
  }
  for (; left >= 32; left -= 32) {
    pool_32(&w, count, reciprocal, output);
    w.corner += 32;
    output += 32;
  }
  for (; left > 0; left -= 8) {
    pool_8(&w, count, reciprocal, output, left < 8 ? left : 8);
    w.corner += 8;
    output += 8;
  }
}

void trecx_average_pool_s8_mve(const trecx_average_pool_s8_params *params, const int8_t *input,
                               int8_t *output, void *scratch) {
  const trecx_average_pool_s8_params *p = params;
  const int32_t row_bytes = p->input_width * p->channels;
  int8_t *out = output;
  (void)scratch;
  for (int32_t y = 0; y < p->output_height; y++) {
    const int32_t top = y * p->stride_height - p->pad_top;
    const int32_t first_y = top > 0 ? top : 0;
    const int32_t bottom = top + p->filter_height;
    const int32_t end_y = bottom < p->input_height ? bottom : p->input_height;
    for (int32_t x = 0; x < p->output_width; x++) {
      const int32_t left = x * p->stride_width - p->pad_left;
      const int32_t first_x = left > 0 ? left : 0;
      const int32_t right = left + p->filter_width;
      const int32_t end_x = right < p->input_width ? right : p->input_width;
      const window w = {input + first_y * row_bytes + first_x * p->channels, end_y - first_y,
                        end_x - first_x, p->channels, row_bytes};
      pool_pixel(w, out);
      out += p->channels;
    }
  }
  trecx_mve_clamp(output, (int32_t)(out - output), p->activation_min, p->activation_max);
}
