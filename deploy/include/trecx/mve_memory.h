/* Bulk moves of the Helium kernels, 128 bytes by one VLDM and one VSTM. Shorter runs, and those of
 * odd places, are for trecx_mve_copy and trecx_mve_fill of trecx/mve_arith.h. */
#ifndef TRECX_MVE_MEMORY_H
#define TRECX_MVE_MEMORY_H

#include <stdint.h>

/* memcpy of any length (0 too) and alignment; also downwards, to a destination below an overlapping
 * source. Fast where both are 4-byte aligned. */
void trecx_mve_move(int8_t *destination, const int8_t *source, int32_t bytes);

/* memset of any length; destination is 4-byte aligned. */
void trecx_mve_set(int8_t *destination, int32_t value, int32_t bytes);

#endif
