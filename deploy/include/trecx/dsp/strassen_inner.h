/* The inner loops of dsp/conv2d_1x1_s8_strassen.c: assembly, or plain C where there is no DSP
 * extension. */
#ifndef TRECX_DSP_STRASSEN_INNER_H
#define TRECX_DSP_STRASSEN_INNER_H

#include "trecx/dsp/strassen.h"

#if defined(__ARM_FEATURE_DSP)
#include "trecx/dsp/strassen_asm.h"
#else
#include "trecx/dsp/strassen_portable.h"
#endif

#endif
