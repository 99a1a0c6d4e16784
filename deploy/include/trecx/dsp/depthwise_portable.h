/* Included by depthwise_inner.h. */
#ifndef TRECX_DSP_DEPTHWISE_PORTABLE_H
#define TRECX_DSP_DEPTHWISE_PORTABLE_H

static inline int32_t trecx_depthwise_lane(const uint32_t *words, int32_t index) {
  return (int16_t)(words[index / 2] >> (index % 2 * 16));
}

static inline void trecx_depthwise_strip(const trecx_depthwise_run *run, int32_t stride,
                                         int32_t words) {
  const int32_t outputs = run->entry_point % 7;
  const trecx_depthwise_entry *const e = run->entry;
  const uint32_t *rows = run->strip;
  for (int8_t *output = run->output; output != run->output_end; output += run->row_step) {
    for (int32_t i = 0; i < outputs; i++) {
      int32_t sum = e->bias[i];
      for (int32_t ky = 0; ky < 3; ky++) {
        const uint32_t *const row = rows + ky * words;
        const int32_t w0 = trecx_depthwise_lane(e->weights[ky], 0);
        const int32_t w1 = trecx_depthwise_lane(e->weights[ky], 1);
        const int32_t w2 = trecx_depthwise_lane(e->weights[ky], 3);
        sum += w0 * trecx_depthwise_lane(row, i * stride) +
               w1 * trecx_depthwise_lane(row, i * stride + 1) +
               w2 * trecx_depthwise_lane(row, i * stride + 2);
      }
      const int32_t offset = e->requant.offset + (run->entry_point >= 7 ? sum >> 31 : 0);
      const int32_t y = trecx_smmlar(sum, e->requant.multiplier, offset) >> e->requant.shift;
      output[i * run->pixel_step] = (int8_t)trecx_half_to_s8(y);
    }
    rows += stride * words;
  }
}

static inline void trecx_depthwise_strip_1(const trecx_depthwise_run *run) {
  trecx_depthwise_strip(run, 1, TRECX_STRIP_WORDS_1);
}

static inline void trecx_depthwise_strip_2(const trecx_depthwise_run *run) {
  trecx_depthwise_strip(run, 2, TRECX_STRIP_WORDS_2);
}

static inline void trecx_depthwise_spread(const trecx_depthwise_column *column, int32_t words) {
  for (int32_t row = 0; row < column->rows; row++) {
    for (int32_t c = 0; c < 4; c++) {
      const uint32_t low = (uint16_t)column->a[row * column->a_step + c];
      const uint32_t high = (uint16_t)column->b[row * column->b_step + c];
      column->to[row * words + c * column->plane_bytes / 4] = low | high << 16;
    }
  }
}

static inline void trecx_depthwise_spread_1(const trecx_depthwise_column *column) {
  trecx_depthwise_spread(column, TRECX_STRIP_WORDS_1);
}

static inline void trecx_depthwise_spread_2(const trecx_depthwise_column *column) {
  trecx_depthwise_spread(column, TRECX_STRIP_WORDS_2);
}

#endif
