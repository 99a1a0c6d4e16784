/* The inner loops of dsp/bytepair.c: assembly, or plain C where there is no DSP extension. */
#ifndef TRECX_DSP_BYTEPAIR_INNER_H
#define TRECX_DSP_BYTEPAIR_INNER_H

#include "trecx/dsp/bytepair.h"

#if defined(__ARM_FEATURE_DSP)
#include "trecx/dsp/bytepair_asm.h"
#else
#include "trecx/dsp/bytepair_portable.h"
#endif

#endif
