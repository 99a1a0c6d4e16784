/* AVERAGE_POOL_2D on Helium, int8: bit by bit what trecx_average_pool_s8 gives. */
#ifndef TRECX_KERNELS_AVERAGE_POOL_S8_MVE_H
#define TRECX_KERNELS_AVERAGE_POOL_S8_MVE_H

#include "trecx/kernels/average_pool_s8.h"

/* Windows of at most 255 positions. scratch: not used, may be NULL. The output may begin at the
 * input or before it, as for trecx_average_pool_s8 if it went pixel by pixel: a pixel is written
 * when its whole window has been read, channels in groups of up to 32. */
void trecx_average_pool_s8_mve(const trecx_average_pool_s8_params *params, const int8_t *input,
                               int8_t *output, void *scratch);

#endif
