#include "trecx/kernels/conv2d_s8_dsp.h"

typedef trecx_conv2d_s8_bytepair_params params_t;

/* Parts of the scratch memory, and how far the input has been read. */
typedef struct {
  trecx_bytepair_filters filters;
  uint32_t *tile;
  int8_t *patches;
  int8_t *ring;
  int32_t rows_read; /* input rows, counted from the top padding's first row */
  int32_t slot;      /* of the ring, where the next row goes */
} state;

static void start(const params_t *p, state *s, void *scratch) {
  trecx_bytepair_entry *const entries = scratch;
  trecx_bytepair_prepare(p->constants, p->output_channels, p->output_zero_point, entries);
  s->filters.weights = p->weights;
  s->filters.entries = entries;
  s->filters.groups = p->groups;
  s->filters.channels = p->output_channels;
  s->filters.round_negatives = p->round_negatives;
  s->tile = (uint32_t *)(entries + trecx_bytepair_pairs(p->output_channels));
  s->patches = (int8_t *)(s->tile + 6 * p->groups);
  s->ring = s->patches + ((p->run & 3) ? 3 * (4 * p->groups + 12) : 0);
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
    s->slot = s->slot + 1 == p->kernel_height ? 0 : s->slot + 1;
  }
}

/* Collect a pixel's window in consecutive bytes. Copies whole words: up to three bytes of rubbish
 * behind it meet zero weights. */
static void copy_patches(const params_t *p, state *s, int32_t offset, int32_t step,
                         int32_t pixels) {
  const int32_t patch_bytes = 4 * p->groups + 12;
  for (int32_t i = 0; i < pixels; i++, offset += step) {
    int8_t *patch = s->patches + i * patch_bytes;
    int32_t slot = s->slot;
    for (int32_t ky = 0; ky < p->kernel_height; ky++, patch += p->run) {
      const int8_t *const row = s->ring + slot * p->row_bytes + offset;
      for (int32_t k = 0; k < p->run; k += 4) memcpy(patch + k, row + k, 4);
      slot = slot + 1 == p->kernel_height ? 0 : slot + 1;
    }
  }
}

/* Fill the tile with the windows of `pixels` output pixels from column x on. */
static void gather(const params_t *p, state *s, int32_t x, int32_t step, int32_t pixels) {
  const int32_t offset = x * p->stride_width * p->input_channels;
  if (p->run & 3) {
    copy_patches(p, s, offset, step, pixels);
    trecx_bytepair_widen(s->tile, s->patches, step ? 4 * p->groups + 12 : 0, pixels, p->groups);
    return;
  }
  uint32_t *tile = s->tile;
  int32_t slot = s->slot; /* the oldest row */
  for (int32_t ky = 0; ky < p->kernel_height; ky++) {
    const int8_t *const row = s->ring + slot * p->row_bytes + offset;
    tile = trecx_bytepair_widen(tile, row, step, pixels, p->run >> 2);
    slot = slot + 1 == p->kernel_height ? 0 : slot + 1;
  }
}

static void output_row(const params_t *p, state *s, int8_t *output) {
  const int32_t single = p->output_width == 1;
  const int32_t in_step = single ? 0 : p->stride_width * p->input_channels;
  const int32_t out_step = single ? 0 : p->output_channels;
  int32_t x = 0;
  while (x < p->output_width) {
    const int32_t pixels = trecx_bytepair_tile_pixels(p->output_width - x);
    gather(p, s, x, in_step, pixels);
    trecx_bytepair_tile(&s->filters, s->tile, pixels, output + x * p->output_channels, out_step);
    x += pixels;
  }
  trecx_clamp_bytes(output, p->output_width * p->output_channels, p->activation_min,
                    p->activation_max);
}

void trecx_conv2d_s8_bytepair(const trecx_conv2d_s8_bytepair_params *params, const int8_t *input,
                              int8_t *output, void *scratch) {
  const params_t *const p = params;
  state s;
  start(p, &s, scratch);
  for (int32_t y = 0; y < p->output_height; y++) {
    read_rows(p, &s, input, y * p->stride_height + p->kernel_height);
    output_row(p, &s, output);
    output += p->output_width * p->output_channels;
  }
}
