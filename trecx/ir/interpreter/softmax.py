"""SOFTMAX over the last dimension; output scale 1/256, zero point -128."""

from __future__ import annotations

import numpy as np

from trecx.ir.fixedpoint import reciprocal
from trecx.ir.graph import Operator
from trecx.ir.interpreter.registry import implements
from trecx.ir.quantize import (
    INT8_MAX,
    INT8_MIN,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)
from trecx.ir.tables import SOFTMAX_SUM_INTEGER_BITS, softmax_exp_table

OUTPUT_BITS = 8


@implements("SOFTMAX")
def softmax(op: Operator, x) -> np.ndarray:
    table = np.zeros(256, np.int64)
    exponentials = softmax_exp_table(op.inputs[0].scale, op.attrs.beta)
    table[: len(exponentials)] = exponentials
    wide = x.astype(np.int64)
    exps = table[wide.max(axis=-1, keepdims=True) - wide]
    return probabilities(exps, addends(exps).sum(axis=-1, keepdims=True))


def addends(exponentials) -> np.ndarray:
    """Exponentials in Q0.31 as they are summed: int64 in Q12.19."""
    return rounding_divide_by_pot(exponentials, SOFTMAX_SUM_INTEGER_BITS)


def probabilities(exponentials, total) -> np.ndarray:
    """int8 outputs for exponentials in Q0.31 and their sum in Q12.19, broadcast together."""
    scale, bits = reciprocal(total, SOFTMAX_SUM_INTEGER_BITS)
    scaled = saturating_rounding_doubling_high_mul(scale, exponentials)
    y = rounding_divide_by_pot(scaled, bits + 31 - OUTPUT_BITS) + INT8_MIN
    return np.clip(y, INT8_MIN, INT8_MAX).astype(np.int8)
