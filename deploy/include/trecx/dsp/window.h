/* Windows of an image, gathered as tiles (trecx/dsp/bytepair.h) for the product with the filters.
 *
 * A kernel row has `run` = kernel_width * input_channels contiguous inputs. A filter's inputs come
 * in this order: of every kernel row the first run / 4 groups of four, then, position by position,
 * those left of all kernel rows.
 *
 * The input goes row by row into a ring of kernel_height padded rows, so that the output may be
 * written over rows that have been read. */
#ifndef TRECX_DSP_WINDOW_H
#define TRECX_DSP_WINDOW_H

#include <stdint.h>

#define TRECX_WINDOW_MAX_HEIGHT 16

/* row_bytes: of a padded row in the ring, a multiple of 4, at least (pad_left + input_width) *
 *   input_channels and the end of the last output pixel's window.
 * kernel_height: at most TRECX_WINDOW_MAX_HEIGHT.
 * input_zero_point: what the padding is filled with. */
typedef struct {
  int32_t row_bytes;
  int16_t input_height, input_width, input_channels;
  int16_t output_height, output_width;
  int16_t kernel_height, stride_height, stride_width;
  int16_t pad_top, pad_left;
  int16_t run;
  int16_t input_zero_point;
} trecx_window;

/* Parts of the scratch memory, and how far the input has been read.
 * rows: of the ring, those of the current output row's windows from top to bottom. */
typedef struct {
  int8_t *ring;
  int8_t *tails;     /* [3 pixels][inputs left of all kernel rows, in whole groups] */
  int32_t rows_read; /* counted from the first row of the top padding */
  int32_t slot;      /* of the ring: the oldest row, where the next one goes */
  const int8_t *rows[TRECX_WINDOW_MAX_HEIGHT];
} trecx_window_state;

/* Bytes of the inputs left of all kernel rows of a pixel. */
static inline int32_t trecx_window_tail_bytes(const trecx_window *w) {
  return (w->kernel_height * (w->run & 3) + 3) & ~3;
}

/* Scratch memory: 3 * trecx_window_tail_bytes, and kernel_height * row_bytes. */
void trecx_window_start(const trecx_window *w, trecx_window_state *s, void *scratch);

/* Read the input rows of the windows of output row y; those outside the image are filled. */
void trecx_window_read(const trecx_window *w, trecx_window_state *s, const int8_t *input,
                       int32_t y);

/* Widen the windows of `pixels` (2 or 3) pixels, `step` bytes apart, the first at `offset` in the
 * padded rows. */
void trecx_window_gather(const trecx_window *w, const trecx_window_state *s, int32_t offset,
                         int32_t step, int32_t pixels, uint32_t *tile);

#endif
