/* FULLY_CONNECTED on Helium, int8. Both schemes give bit by bit what trecx_fully_connected_s8
 * gives. */
#ifndef TRECX_KERNELS_FULLY_CONNECTED_S8_MVE_H
#define TRECX_KERNELS_FULLY_CONNECTED_S8_MVE_H

#include <stdint.h>

#include "trecx/kernels/fully_connected_s8.h"

/* Layouts, last index fastest: input [rows][inputs], output [rows][units].
 *
 * Units come in groups of eight; the last group is filled up by repeating the last unit. A group's
 * record in `packed`: eight biases (int32); then for each 16 inputs (the last ones filled up with
 * zeros) a vector of weights of each unit; then, per channel only, the multipliers of units 0, 2,
 * 4, 6 and 1, 3, 5, 7 and minus the right shifts (-31 to -1) in the same order (int32). The biases
 * include -input_zero_point * sum of the weights. `packed` is 4-byte aligned.
 * multiplier, shift (-31 to -1): of all units; not used per channel.
 *
 * vectors = ceil(inputs / 16); streamed = max(0, vectors - 5), those that do not stay in registers.
 * passes = ceil(streamed / 4) - 1; skipped = -streamed modulo 4, or 5 - vectors if streamed is 0.
 * copy_at: where in scratch the input is copied to, 0 if it is read in place. It must be copied if
 * inputs is below 49 or no multiple of 16, and lies then at 44 + 16 * max(0, 4 - vectors). */
typedef struct {
  int32_t rows, inputs, units;
  int16_t passes;
  int8_t skipped, copy_at;
  int32_t multiplier, shift;
  int32_t output_zero_point, activation_min, activation_max;
  const int8_t *packed;
} trecx_fully_connected_s8_mve_params;

/* scratch: 4-byte aligned, 44 bytes; and 16 * max(4, vectors) more if the input is copied. input
 * and output must not overlap. */
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

/* Any requantisation; weights as the reference has them. For few units. scratch: not used, may be
 * NULL. */
void trecx_fully_connected_s8_mve_units(const trecx_fully_connected_s8_params *params,
                                        const int8_t *input, int8_t *output, void *scratch);

#endif
