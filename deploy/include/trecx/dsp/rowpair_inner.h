/* The inner loop of dsp/conv2d_s8_rowpair.c: assembly, or plain C where there is no DSP extension.
 */
#ifndef TRECX_DSP_ROWPAIR_INNER_H
#define TRECX_DSP_ROWPAIR_INNER_H

#include "trecx/dsp/rowpair.h"
#include "trecx/dsp/wide.h"

#if defined(__ARM_FEATURE_DSP)
#include "trecx/dsp/rowpair_asm.h"
#else
#include "trecx/dsp/rowpair_portable.h"
#endif

#endif
