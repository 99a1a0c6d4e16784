/* The inner loops of the DSP kernels for DEPTHWISE_CONV_2D: assembly, or plain C where there is no
 * DSP extension. Each kernel uses some of them. */
#ifndef TRECX_DSP_DEPTHWISE_INNER_H
#define TRECX_DSP_DEPTHWISE_INNER_H

#include "trecx/dsp/depthwise.h"

#if defined(__ARM_FEATURE_DSP)
#include "trecx/dsp/depthwise_asm.h"
#else
#include "trecx/dsp/depthwise_portable.h"
#endif

#endif
