#include "trecx/kernels/conv2d_s8_dsp.h"

typedef trecx_conv2d_s8_bytepair_params params_t;

/* Parts of the scratch memory, and how far the input has been read. */
typedef struct {
  trecx_bytepair_run run;
  int8_t *patches;
  int8_t *ring;
  int32_t rows_read; /* counted from the first row of the top padding */
  int32_t slot;      /* of the ring: the oldest row, where the next one goes */
} state;

static int32_t patch_bytes(const params_t *p) {
  return 4 * p->layer.groups + 12;
}

static int32_t next_slot(const params_t *p, int32_t slot) {
  return slot + 1 == p->kernel_height ? 0 : slot + 1;
}

static void start(const params_t *p, state *s, int8_t *output, void *scratch) {
  trecx_bytepair_start(&s->run, &p->layer, p->output_width == 1 ? 0 : p->layer.channels, scratch);
  s->run.output = output;
  s->patches = (int8_t *)(s->run.tile + 6 * p->layer.groups);
  s->ring = s->patches + ((p->run & 3) ? 3 * patch_bytes(p) : 0);
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
}

/* Copies 12 bytes at a time: up to 11 bytes behind it are read and written. */
static inline void copy_run(int8_t *to, const int8_t *from, int32_t count) {
  for (; count > 0; count -= 12) {
    memcpy(to, from, 12);
    to += 12;
    from += 12;
  }
}

/* Collect each pixel's window in consecutive bytes; rubbish behind it meets zero weights. */
static void gather_patches(const params_t *p, state *s, int32_t offset, int32_t step,
                           int32_t pixels) {
  const int32_t size = step ? patch_bytes(p) : 0;
  int8_t *patch = s->patches;
  int32_t slot = s->slot;
  for (int32_t ky = 0; ky < p->kernel_height; ky++, patch += p->run) {
    const int8_t *const row = s->ring + slot * p->row_bytes + offset;
    copy_run(patch, row, p->run);
    if (step) copy_run(patch + size, row + step, p->run);
    if (pixels == 3) copy_run(patch + 2 * size, row + 2 * step, p->run);
    slot = next_slot(p, slot);
  }
  trecx_bytepair_widen(s->run.tile, s->patches, size, pixels, p->layer.groups);
}

/* Widen each pixel's window row by row. */
static void gather_rows(const params_t *p, state *s, int32_t offset, int32_t step, int32_t pixels) {
  uint32_t *tile = s->run.tile;
  int32_t slot = s->slot;
  for (int32_t ky = 0; ky < p->kernel_height; ky++) {
    const int8_t *const row = s->ring + slot * p->row_bytes + offset;
    tile = trecx_bytepair_widen(tile, row, step, pixels, p->run >> 2);
    slot = next_slot(p, slot);
  }
}

static void output_row(const params_t *p, state *s) {
  const int32_t column = p->stride_width * p->input_channels;
  const int32_t step = p->output_width == 1 ? 0 : column;
  int32_t offset = 0;
  for (int32_t left = p->output_width; left > 0;) {
    const int32_t pixels = trecx_bytepair_tile_pixels(left);
    if (p->run & 3) {
      gather_patches(p, s, offset, step, pixels);
    } else {
      gather_rows(p, s, offset, step, pixels);
    }
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
  start(p, &s, output, scratch);
  for (int32_t y = 0; y < p->output_height; y++) {
    s.run.output = output + y * row_values;
    read_rows(p, &s, input, y * p->stride_height + p->kernel_height);
    output_row(p, &s);
  }
  trecx_clamp_bytes(output, p->output_height * row_values, p->activation_min, p->activation_max);
}
