#include "trecx/dsp/window.h"

#include "trecx/dsp/bytepair_widen.h"

static int32_t next_slot(const trecx_window *w, int32_t slot) {
  return slot + 1 == w->kernel_height ? 0 : slot + 1;
}

void trecx_window_start(const trecx_window *w, trecx_window_state *s, void *scratch) {
  s->tails = scratch;
  s->ring = s->tails + 3 * trecx_window_tail_bytes(w);
  s->rows_read = 0;
  s->slot = 0;
  trecx_fill_bytes(s->ring, (int8_t)w->input_zero_point, w->kernel_height * w->row_bytes);
}

void trecx_window_read(const trecx_window *w, trecx_window_state *s, const int8_t *input,
                       int32_t y) {
  const int32_t rows = y * w->stride_height + w->kernel_height;
  const int32_t bytes = w->input_width * w->input_channels;
  for (; s->rows_read < rows; s->rows_read++) {
    const int32_t from = s->rows_read - w->pad_top;
    int8_t *const row = s->ring + s->slot * w->row_bytes + w->pad_left * w->input_channels;
    if (from >= 0 && from < w->input_height) {
      trecx_copy_bytes(row, input + from * bytes, bytes);
    } else {
      trecx_fill_bytes(row, (int8_t)w->input_zero_point, bytes);
    }
    s->slot = next_slot(w, s->slot);
  }
  for (int32_t ky = 0, slot = s->slot; ky < w->kernel_height; ky++, slot = next_slot(w, slot)) {
    s->rows[ky] = s->ring + slot * w->row_bytes;
  }
}

/* Copy the last bytes, fewer than four, of every row of each pixel's window. */
static void copy_tails(const trecx_window *w, const trecx_window_state *s, int32_t offset,
                       int32_t step, int32_t pixels) {
  const int32_t size = trecx_window_tail_bytes(w), height = w->kernel_height;
  const int32_t third_step = pixels == 3 ? 2 * step : step;
  int8_t *to = s->tails;
  for (int32_t k = w->run & ~3; k < w->run; k++) {
    for (int32_t ky = 0; ky < height; ky++, to++) {
      const int8_t *const from = s->rows[ky] + offset + k;
      to[0] = from[0];
      to[size] = from[step];
      to[2 * size] = from[third_step];
    }
  }
}

void trecx_window_gather(const trecx_window *w, const trecx_window_state *s, int32_t offset,
                         int32_t step, int32_t pixels, uint32_t *tile) {
  const int32_t tail_bytes = trecx_window_tail_bytes(w);
  int32_t groups = w->run >> 2, rows = groups > 0 ? w->kernel_height : 0;
  const int8_t *const *row = s->rows;
  if (tail_bytes > 0) copy_tails(w, s, offset, step, pixels);
  for (;; rows--) { /* what is left of the rows is one more row */
    const int8_t *from = s->tails;
    if (rows > 0) {
      from = *row++ + offset;
    } else {
      groups = tail_bytes >> 2;
      step = tail_bytes;
      if (groups == 0) break;
    }
    tile = trecx_bytepair_widen(tile, from, step, pixels, groups);
    if (rows <= 0) break;
  }
}
