/* The inner loops of dsp/bytepair.c: assembly, or plain C where there is no DSP extension. */
#ifndef TRECX_DSP_BYTEPAIR_INNER_H
#define TRECX_DSP_BYTEPAIR_INNER_H

#include "trecx/dsp/bytepair.h"

/* One call of the inner loops. The assembly relies on the order of the fields. */
typedef struct {
  const uint32_t *tile;
  uint32_t skip; /* groups left out in the first turn of the loop over four groups */
  const trecx_bytepair_entry *entries;
  int32_t groups;
  int8_t *output;
  int32_t pixel_step;
  const trecx_bytepair_entry *end;
  int32_t round_negatives;
  const uint32_t *weights;
} run;

#if defined(__ARM_FEATURE_DSP)
#include "trecx/dsp/bytepair_asm.h"
#else
#include "trecx/dsp/bytepair_portable.h"
#endif

#endif
