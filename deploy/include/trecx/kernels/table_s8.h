/* Any function of one int8 value, by table: QUANTIZE, RELU, RELU6, LOGISTIC. */
#ifndef TRECX_KERNELS_TABLE_S8_H
#define TRECX_KERNELS_TABLE_S8_H

#include <stdint.h>

typedef struct {
  int32_t count;       /* values in the tensor */
  const int8_t *table; /* 256 outputs; the one for input q is table[q + 128] */
} trecx_table_s8_params;

/* output may be the input. scratch: not used, may be NULL. */
void trecx_table_s8(const trecx_table_s8_params *params, const int8_t *input, int8_t *output,
                    void *scratch);

#endif
