"""ADD, and the operators that a table of 256 values computes."""

from __future__ import annotations

import numpy as np

from trecx.ir.graph import Operator, QuantParams
from trecx.ir.interpreter.registry import implements
from trecx.ir.quantize import (
    ADD_LEFT_SHIFT,
    activation_range,
    add_params,
    multiply_by_quantized_multiplier,
    requantize,
)
from trecx.ir.tables import all_int8, operator_table


def look_up(table: np.ndarray, x: np.ndarray) -> np.ndarray:
    """table[x + 128] for an int8 array x; table: 256 values of any dtype."""
    return np.take(table, np.ascontiguousarray(x).view(np.uint8) ^ 0x80)


@implements("QUANTIZE", "RELU", "RELU6", "LOGISTIC")
def by_table(op: Operator, x) -> np.ndarray:
    return look_up(operator_table(op), x)


def rescaled_input_table(quant: QuantParams, multiplier: int, shift: int) -> np.ndarray:
    """An input of ADD after its rescaling: int32 array of 256 values."""
    centred = (all_int8() - int(quant.zero_point[0])) << ADD_LEFT_SHIFT
    return multiply_by_quantized_multiplier(centred, multiplier, shift).astype(np.int32)


@implements("ADD")
def add(op: Operator, x1, x2) -> np.ndarray:
    quant1, quant2 = op.inputs[0].quant, op.inputs[1].quant
    p = add_params(quant1, quant2, op.output.quant)
    table1 = rescaled_input_table(quant1, p.input1_multiplier, p.input1_shift)
    table2 = rescaled_input_table(quant2, p.input2_multiplier, p.input2_shift)
    rank = len(op.output.shape)
    total = look_up(table1, _extended(x1, rank)) + look_up(table2, _extended(x2, rank))
    low, high = activation_range(op.attrs.activation, op.output.quant)
    return requantize(total, p.output_multiplier, p.output_shift, op.output.zero_point, low, high)


def _extended(value: np.ndarray, rank: int) -> np.ndarray:
    """Dimensions of size 1 put between the samples and the tensor's own, for broadcasting."""
    missing = rank - (value.ndim - 1)
    return value.reshape(value.shape[0], *([1] * missing), *value.shape[1:])
