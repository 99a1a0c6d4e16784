#include "trecx/dsp/bytepair_widen.h"
#include "trecx/kernels/conv2d_s8_dsp.h"

typedef trecx_conv2d_s8_bytepair_params params_t;

#define MAX_KERNEL_HEIGHT 16

/* Parts of the scratch memory, and how far the input has been read.
 * rows: of the ring, those of the current output row's windows from top to bottom. */
typedef struct {
  trecx_bytepair_run run;
  int8_t *patches;
  int8_t *ring;
  int32_t patch_bytes;
  int32_t rows_read; /* counted from the first row of the top padding */
  int32_t slot;      /* of the ring: the oldest row, where the next one goes */
  const int8_t *rows[MAX_KERNEL_HEIGHT];
} state;

static int32_t next_slot(const params_t *p, int32_t slot) {
  return slot + 1 == p->kernel_height ? 0 : slot + 1;
}

static void start(const params_t *p, state *s, void *scratch) {
  trecx_bytepair_start(&s->run, &p->layer, p->output_width == 1 ? 0 : p->layer.channels, scratch);
  s->patches = (int8_t *)(s->run.tile + 6 * p->layer.groups);
  s->patch_bytes = 4 * p->layer.groups + 12;
  s->ring = s->patches + ((p->run & 3) ? 3 * s->patch_bytes : 0);
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

/* Where three pixels' windows are: bytes from the first one to the others. */
typedef struct {
  int32_t second, third;
} distances;

/* Copy the windows of three pixels to consecutive bytes, 12 at a time: up to 11 bytes behind each
 * row are read and written, the next row overwrites them. */
static __attribute__((noinline)) void copy_windows(const params_t *p, const int8_t *const *rows,
                                                   int32_t offset, distances from, int8_t *to,
                                                   distances patch) {
  const int32_t run = p->run;
  for (int32_t left = p->kernel_height; left > 0; left--, to += run) {
    const int8_t *const row = *rows++ + offset;
    for (int32_t k = 0; k < run; k += 12) {
      memcpy(to + k, row + k, 12);
      memcpy(to + k + patch.second, row + k + from.second, 12);
      memcpy(to + k + patch.third, row + k + from.third, 12);
    }
  }
}

/* Collect each pixel's window in a patch, and widen that; rubbish behind it meets zero weights. */
static void gather_patches(const params_t *p, state *s, int32_t offset, int32_t step,
                           int32_t pixels) {
  const int32_t size = step ? s->patch_bytes : 0;
  const distances from = {step, pixels == 3 ? 2 * step : step};
  const distances patch = {size, pixels == 3 ? 2 * size : size};
  copy_windows(p, s->rows, offset, from, s->patches, patch);
  trecx_bytepair_widen(s->run.tile, s->patches, size, pixels, p->layer.groups);
}

/* Widen each pixel's window row by row. */
static void gather_rows(const params_t *p, state *s, int32_t offset, int32_t step, int32_t pixels) {
  const int32_t groups = p->run >> 2;
  uint32_t *tile = s->run.tile;
  for (int32_t ky = 0; ky < p->kernel_height; ky++) {
    tile = trecx_bytepair_widen(tile, s->rows[ky] + offset, step, pixels, groups);
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
  start(p, &s, scratch);
  for (int32_t y = 0; y < p->output_height; y++) {
    s.run.output = output + y * row_values;
    read_rows(p, &s, input, y * p->stride_height + p->kernel_height);
    output_row(p, &s);
  }
  trecx_clamp_bytes(output, p->output_height * row_values, p->activation_min, p->activation_max);
}
