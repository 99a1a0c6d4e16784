/* The kernels dsp/conv2d_1x1_s8_strassen*.c, which differ in the second shift of the
 * requantisation, an immediate, TRECX_STRASSEN_SHIFT. The inner loops are assembly, or plain C
 * where there is no DSP extension. */
#ifndef TRECX_DSP_STRASSEN_INNER_H
#define TRECX_DSP_STRASSEN_INNER_H

#include "trecx/dsp/strassen.h"
#include "trecx/kernels/conv2d_s8_dsp.h"

#if defined(__ARM_FEATURE_DSP)
#include "trecx/dsp/strassen_asm.h"
#else
#include "trecx/dsp/strassen_portable.h"
#endif

/* One pixel of each pair, `pixel` being its number in the pair. */
static void trecx_strassen_pixel(const trecx_strassen_run *run, const int8_t *a, const int8_t *b,
                                 int32_t pixel) {
  const trecx_strassen_input input = {.a = a,
                                      .b = b,
                                      .to = run->tile + pixel,
                                      .half = 4 * run->groups - 4,
                                      .part_bytes = 16 * run->groups + 4,
                                      .groups = run->groups};
  trecx_strassen_transform(&input);
}

static void trecx_strassen(const trecx_conv2d_1x1_s8_strassen_params *p, const int8_t *input,
                           int8_t *output, void *scratch) {
  const int32_t channels = 8 * p->groups, part_words = 4 * p->groups;
  trecx_strassen_run run = {
      .output = output,
      .end = p->weights + (p->channels >> 2) * (TRECX_STRASSEN_PARTS * part_words + 16),
      .tile = scratch,
      .weights = p->weights,
      .groups = p->groups};
  trecx_strassen_prepare(&run);
  for (int32_t left = p->pixels; left > 0; left -= 4) {
    /* Fewer than four pixels: some are computed twice. */
    const int32_t next = left > 1 ? 1 : 0, second = left > 3 ? 2 : left == 3 ? 1 : 0;
    const int8_t *const pair = input + second * channels;
    trecx_strassen_pixel(&run, input, pair, 0);
    trecx_strassen_pixel(&run, input + next * channels, pair + next * channels, 1);
    run.pixel_step = next * p->channels;
    run.second = second * p->channels;
    trecx_strassen_tile(&run);
    input += 4 * channels;
    run.output += 4 * p->channels;
  }
  trecx_clamp_bytes(output, p->pixels * p->channels, p->activation_min, p->activation_max);
}

#endif
