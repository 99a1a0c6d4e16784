/* Included by depthwise_inner.h. */
#ifndef TRECX_DSP_DEPTHWISE_PORTABLE_H
#define TRECX_DSP_DEPTHWISE_PORTABLE_H

static inline int32_t trecx_depthwise_lane(const uint32_t *words, int32_t index) {
  return (int16_t)(words[index / 2] >> (index % 2 * 16));
}

static inline int8_t trecx_depthwise_sum(const trecx_depthwise_run *run,
                                         const trecx_depthwise_entry *e, const uint32_t *rows,
                                         int32_t words, int32_t first) {
  int32_t sum = e->bias;
  for (int32_t ky = 0; ky < 3; ky++, rows += words) {
    sum += trecx_depthwise_lane(e->weights[ky], 0) * trecx_depthwise_lane(rows, first) +
           trecx_depthwise_lane(e->weights[ky], 1) * trecx_depthwise_lane(rows, first + 1) +
           trecx_depthwise_lane(e->weights[ky], 3) * trecx_depthwise_lane(rows, first + 2);
  }
  const trecx_dsp_requant *const q = &e->requant;
  if (run->entry_point < 7) {
    const int32_t y = trecx_smmla(sum, q->multiplier, q->offset);
    return (int8_t)trecx_half_to_s8(y >> (TRECX_DEPTHWISE_FAST_SHIFT - 1));
  }
  return (int8_t)trecx_dsp_requantize(sum >> 1, q);
}

static inline void trecx_depthwise_strip(const trecx_depthwise_run *run, int32_t stride,
                                         int32_t words) {
  const int32_t outputs = run->entry_point % 7;
  const int32_t bytes = (int32_t)(run->output_end - run->output);
  const uint32_t *rows = run->strip;
  for (int32_t c = 0; c < run->channels; c++, rows += run->strip_gap / 4) {
    for (int32_t at = 0; at != bytes; at += run->row_step, rows += stride * words) {
      for (int32_t i = 0; i < outputs; i++) {
        run->output[c + at + i * run->pixel_step] =
            trecx_depthwise_sum(run, &run->entry[c], rows, words, i * stride);
      }
    }
  }
}

static inline void trecx_depthwise_strip_1(const trecx_depthwise_run *run) {
  trecx_depthwise_strip(run, 1, TRECX_STRIP_WORDS_1);
}

static inline void trecx_depthwise_strip_2(const trecx_depthwise_run *run) {
  trecx_depthwise_strip(run, 2, TRECX_STRIP_WORDS_2);
}

static inline void trecx_depthwise_strip_5(const trecx_depthwise_run *run) {
  trecx_depthwise_strip(run, 1, TRECX_STRIP_WORDS_1);
}

static inline void trecx_depthwise_strip_5_general(const trecx_depthwise_run *run) {
  trecx_depthwise_strip(run, 1, TRECX_STRIP_WORDS_1);
}

static inline void trecx_depthwise_spread_half(const trecx_depthwise_half *half) {
  for (int32_t row = 0; row < half->rows; row++) {
    for (int32_t c = 0; c < 4; c++) {
      half->to[(row * half->to_step + c * half->plane_bytes) / 2] = half->a[row * half->step + c];
    }
  }
}

static inline void trecx_depthwise_spread(trecx_depthwise_columns *columns, int32_t words) {
  for (int32_t i = 0; i < 2 * columns->columns; i++) {
    const trecx_depthwise_half half = {.a = columns->a,
                                       .step = columns->row_bytes,
                                       .to = (int16_t *)columns->to + (i & 1),
                                       .rows = columns->rows,
                                       .to_step = 4 * words,
                                       .plane_bytes = columns->plane_bytes};
    trecx_depthwise_spread_half(&half);
    columns->a += columns->channels;
    columns->to += i & 1;
  }
}

static inline void trecx_depthwise_spread_1(trecx_depthwise_columns *columns) {
  trecx_depthwise_spread(columns, TRECX_STRIP_WORDS_1);
}

static inline void trecx_depthwise_spread_2(trecx_depthwise_columns *columns) {
  trecx_depthwise_spread(columns, TRECX_STRIP_WORDS_2);
}

#endif
