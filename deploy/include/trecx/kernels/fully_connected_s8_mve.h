/* FULLY_CONNECTED on Helium, int8: bit by bit what trecx_fully_connected_s8 gives. */
#ifndef TRECX_KERNELS_FULLY_CONNECTED_S8_MVE_H
#define TRECX_KERNELS_FULLY_CONNECTED_S8_MVE_H

#include <stdint.h>

/* Layouts, last index fastest: input [rows][inputs], output [rows][units].
 *
 * Units come in groups of eight; the last group is filled up by repeating the last unit. A group's
 * record in `packed`: eight biases (int32); then for each 16 inputs (the last ones filled up with
 * zeros) a vector of weights of each unit; then, per channel only, the multipliers of units 0, 2,
 * 4, 6 and 1, 3, 5, 7 and minus the right shifts (-31 to -1) in the same order (int32). The biases
 * include -input_zero_point * sum of the weights. `packed` is 4-byte aligned.
 * multiplier, shift (-31 to -1): of all units; not used per channel. */
typedef struct {
  int32_t rows, inputs, units;
  int32_t multiplier, shift;
  int32_t output_zero_point, activation_min, activation_max;
  const int8_t *packed;
} trecx_fully_connected_s8_mve_params;

/* scratch: 4-byte aligned, 40 bytes; and 16 * max(4, ceil(inputs / 16)) more if inputs is below 49
 * or no multiple of 16. input and output must not overlap. */
void trecx_fully_connected_s8_mve(const trecx_fully_connected_s8_mve_params *params,
                                  const int8_t *input, int8_t *output, void *scratch);
void trecx_fully_connected_s8_mve_per_channel(const trecx_fully_connected_s8_mve_params *params,
                                              const int8_t *input, int8_t *output, void *scratch);

/* The same where activation_min >= output_zero_point (see trecx/mve_arith.h). */
void trecx_fully_connected_s8_mve_relu(const trecx_fully_connected_s8_mve_params *params,
                                       const int8_t *input, int8_t *output, void *scratch);
void trecx_fully_connected_s8_mve_per_channel_relu(
    const trecx_fully_connected_s8_mve_params *params, const int8_t *input, int8_t *output,
    void *scratch);

#endif
