/* PAD and PADV2, int8. */
#ifndef TRECX_KERNELS_PAD_S8_H
#define TRECX_KERNELS_PAD_S8_H

#include <stdint.h>

#include "trecx/kernels/copy_s8.h"

/* Fills all output_bytes values of the output with `value` (-128 to 127), then copies the input
 * into its place. */
typedef struct {
  int32_t output_bytes;
  int32_t value;
  trecx_copy_s8_params copy;
} trecx_pad_s8_params;

/* input and output must not overlap. scratch: not used, may be NULL. */
void trecx_pad_s8(const trecx_pad_s8_params *params, const int8_t *input, int8_t *output,
                  void *scratch);

#endif
