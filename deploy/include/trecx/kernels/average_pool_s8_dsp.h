/* AVERAGE_POOL_2D, int8, for the DSP extension. */
#ifndef TRECX_KERNELS_AVERAGE_POOL_S8_DSP_H
#define TRECX_KERNELS_AVERAGE_POOL_S8_DSP_H

#include <stdint.h>

#include "trecx/kernels/average_pool_s8.h"

/* As trecx_average_pool_s8, four channels at a time: channels is a multiple of 4, filter_height *
 * filter_width at most 255. scratch: not used, may be NULL. */
void trecx_average_pool_s8_lanes(const trecx_average_pool_s8_params *params, const int8_t *input,
                                 int8_t *output, void *scratch);

#endif
