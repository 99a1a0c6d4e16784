#include "trecx/kernels/copy_s8.h"

#include <string.h>

static void copy_line(int8_t *out, int32_t out_stride, const int8_t *in, int32_t in_stride,
                      int32_t count) {
  if (in_stride == 1 && out_stride == 1) {
    memcpy(out, in, (size_t)count);
    return;
  }
  for (int32_t i = 0; i < count; i++) out[i * out_stride] = in[i * in_stride];
}

void trecx_copy_s8(const trecx_copy_s8_params *params, const int8_t *input, int8_t *output,
                   void *scratch) {
  const trecx_copy_s8_params *p = params;
  const int32_t *si = p->input_stride, *so = p->output_stride;
  (void)scratch;
  for (int32_t i = 0; i < p->dims[0]; i++) {
    for (int32_t j = 0; j < p->dims[1]; j++) {
      for (int32_t k = 0; k < p->dims[2]; k++) {
        copy_line(output + (p->output_offset + i * so[0] + j * so[1] + k * so[2]), so[3],
                  input + (p->input_offset + i * si[0] + j * si[1] + k * si[2]), si[3], p->dims[3]);
      }
    }
  }
}
