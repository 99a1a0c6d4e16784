/* What generated models have in common: the result of an inference, and a descriptor that lets
 * generic firmware run any model without knowing its name. */
#ifndef TRECX_MODEL_H
#define TRECX_MODEL_H

#include <stdint.h>

/* Value of every byte of the guard words on both sides of the arena. */
#define TRECX_CANARY 0xC5u
#define TRECX_CANARY_BYTES 16u

/* Negative return values of generated functions; 0 and above is success. */
#define TRECX_OK 0
#define TRECX_ERR_ARGUMENT (-1)
#define TRECX_ERR_ORDER (-2) /* a segment was called before the one that feeds it */

typedef struct {
  int32_t class_index;  /* index of the largest output; the first one when several are equal */
  int32_t exit_index;   /* segment whose exit gave the answer; the last segment: full network */
  const int8_t *output; /* output_count values inside the arena, valid until the next call */
} trecx_result;

typedef struct trecx_model {
  const char *name;
  const char *bundle_sha256; /* of the bundle's manifest, hexadecimal */
  uint32_t input_bytes;
  uint32_t output_count;  /* int8 values of the final output */
  uint32_t segment_count; /* 1: no early exit */
  uint32_t arena_bytes;   /* without the guard words */
  uint8_t *guarded_arena; /* guard words, arena, guard words */
  int8_t *(*input)(void); /* where the input lives inside the arena */
  int (*invoke)(const int8_t *input, trecx_result *result);
  /* Runs segment k; segment 0 reads `input`, later ones ignore it. Returns 1 when the exit policy
   * says to stop here (always at the last segment), 0 to go on, or a negative error. */
  int (*run_segment)(uint32_t k, const int8_t *input, trecx_result *result);
} trecx_model;

#endif
