#include "trecx/dsp/bytepair_widen.h"
#include "trecx/kernels/conv2d_s8_dsp.h"

typedef trecx_conv2d_s8_bytepair_params params_t;

#define MAX_KERNEL_HEIGHT 16

/* Parts of the scratch memory, and how far the input has been read.
 * rows: of the ring, those of the current output row's windows from top to bottom. */
typedef struct {
  trecx_bytepair_run run;
  int8_t *tails; /* [3 pixels][tail_bytes] */
  int8_t *ring;
  int32_t tail_bytes;
  int32_t rows_read; /* counted from the first row of the top padding */
  int32_t slot;      /* of the ring: the oldest row, where the next one goes */
  const int8_t *rows[MAX_KERNEL_HEIGHT];
} state;

static int32_t next_slot(const params_t *p, int32_t slot) {
  return slot + 1 == p->kernel_height ? 0 : slot + 1;
}

static void start(const params_t *p, state *s, void *scratch) {
  trecx_bytepair_start(&s->run, &p->layer, p->output_width == 1 ? 0 : p->layer.channels, scratch);
  s->tails = (int8_t *)(s->run.tile + 6 * p->layer.groups);
  s->tail_bytes = 4 * p->layer.groups - p->kernel_height * (p->run & ~3);
  s->ring = s->tails + 3 * s->tail_bytes;
  s->rows_read = 0;
  s->slot = 0;
  trecx_fill_bytes(s->ring, (int8_t)p->input_zero_point, p->kernel_height * p->row_bytes);
}

/* Read rows until `rows` have been read; rows outside the image are filled. */
static void read_rows(const params_t *p, state *s, const int8_t *input, int32_t rows) {
  const int32_t bytes = p->input_width * p->input_channels;
  for (; s->rows_read < rows; s->rows_read++) {
    const int32_t y = s->rows_read - p->pad_top;
    int8_t *const row = s->ring + s->slot * p->row_bytes + p->pad_left * p->input_channels;
    if (y >= 0 && y < p->input_height) {
      trecx_copy_bytes(row, input + y * bytes, bytes);
    } else {
      trecx_fill_bytes(row, (int8_t)p->input_zero_point, bytes);
    }
    s->slot = next_slot(p, s->slot);
  }
  for (int32_t ky = 0, slot = s->slot; ky < p->kernel_height; ky++, slot = next_slot(p, slot)) {
    s->rows[ky] = s->ring + slot * p->row_bytes;
  }
}

/* Collect the last bytes, fewer than four, of every row of each pixel's window. */
static void gather_tails(const params_t *p, state *s, int32_t offset, int32_t step, int32_t pixels,
                         uint32_t *tile) {
  const int32_t size = s->tail_bytes, height = p->kernel_height;
  const int32_t third_step = pixels == 3 ? 2 * step : step;
  int8_t *to = s->tails;
  for (int32_t k = p->run & ~3; k < p->run; k++) {
    for (int32_t ky = 0; ky < height; ky++, to++) {
      const int8_t *const from = s->rows[ky] + offset + k;
      to[0] = from[0];
      to[size] = from[step];
      to[2 * size] = from[third_step];
    }
  }
  trecx_bytepair_widen(tile, s->tails, size, pixels, size >> 2);
}

/* Widen the windows of `pixels` pixels, `step` bytes apart: row by row the bytes in whole groups of
 * four, then what is left of all rows. */
static void gather(const params_t *p, state *s, int32_t offset, int32_t step, int32_t pixels) {
  const int32_t groups = p->run >> 2;
  uint32_t *tile = s->run.tile;
  if (groups > 0) {
    for (int32_t ky = 0; ky < p->kernel_height; ky++) {
      tile = trecx_bytepair_widen(tile, s->rows[ky] + offset, step, pixels, groups);
    }
  }
  if (p->run & 3) gather_tails(p, s, offset, step, pixels, tile);
}

static void output_row(const params_t *p, state *s) {
  const int32_t column = p->stride_width * p->input_channels;
  const int32_t step = p->output_width == 1 ? 0 : column;
  int32_t offset = 0;
  for (int32_t left = p->output_width; left > 0;) {
    const int32_t pixels = trecx_bytepair_tile_pixels(left);
    gather(p, s, offset, step, pixels);
    trecx_bytepair_tile(&s->run, pixels);
    left -= pixels;
    offset += pixels * column;
  }
}

void trecx_conv2d_s8_bytepair(const trecx_conv2d_s8_bytepair_params *params, const int8_t *input,
                              int8_t *output, void *scratch) {
  const params_t *const p = params;
  const int32_t row_values = p->output_width * p->layer.channels;
  state s;
  start(p, &s, scratch);
  for (int32_t y = 0; y < p->output_height; y++) {
    s.run.output = output + y * row_values;
    read_rows(p, &s, input, y * p->stride_height + p->kernel_height);
    output_row(p, &s);
  }
  trecx_clamp_bytes(output, p->output_height * row_values, p->activation_min, p->activation_max);
}
