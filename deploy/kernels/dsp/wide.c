#include "trecx/dsp/wide_inner.h"
