/* The exit policies' argmax on Helium, for outputs of many values. */
#ifndef TRECX_KERNELS_ARGMAX_S8_MVE_H
#define TRECX_KERNELS_ARGMAX_S8_MVE_H

#include <stdint.h>

/* What trecx_argmax_s8 gives: index of the largest of n >= 1 values; the first one when several are
 * equal. q: any alignment. */
int32_t trecx_argmax_s8_mve(const int8_t *q, uint32_t n);

#endif
