/* The inner loop of dsp/wide.c: assembly, or plain C where there is no DSP extension. */
#ifndef TRECX_DSP_WIDE_INNER_H
#define TRECX_DSP_WIDE_INNER_H

#include "trecx/dsp/wide.h"

#if defined(__ARM_FEATURE_DSP)
#include "trecx/dsp/wide_asm.h"
#else
#include "trecx/dsp/wide_portable.h"
#endif

#endif
