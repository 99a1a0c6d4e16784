"""Look-up tables of the operators that depend on one int8 value at a time.

A table of 256 entries is indexed by the int8 input plus 128. Computing TFLM's function once for
every input at compile time makes the device's work one load, and bit-exactness a property of the
table alone.
"""

from __future__ import annotations

import math

import numpy as np

from trecx.errors import UnsupportedModelError
from trecx.ir.fixedpoint import exp_on_negative_values, logistic
from trecx.ir.graph import Operator, QuantParams
from trecx.ir.ops import Activation
from trecx.ir.quantize import (
    INT8_MAX,
    INT8_MIN,
    activation_range,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    requantize,
    rescale_multiplier,
    rounding_divide_by_pot,
)

# Inputs of the fixed-point exp and sigmoid have this many integer bits.
SOFTMAX_INTEGER_BITS = 5
LOGISTIC_INTEGER_BITS = 4
# The sum of a softmax's exponentials has this many; 2^12 values of 1.0 would overflow it.
SOFTMAX_SUM_INTEGER_BITS = 12


def all_int8() -> np.ndarray:
    """The table's index as values: int64 array -128 .. 127."""
    return np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)


def rescale_table(
    input_quant: QuantParams, output_quant: QuantParams, activation: Activation
) -> np.ndarray:
    """QUANTIZE int8 to int8 and RELU: int8 array of 256 outputs."""
    multiplier, shift = rescale_multiplier(input_quant, output_quant)
    low, high = activation_range(activation, output_quant)
    centred = all_int8() - int(input_quant.zero_point[0])
    return requantize(centred, multiplier, shift, int(output_quant.zero_point[0]), low, high)


def relu6_table(quant: QuantParams) -> np.ndarray:
    """RELU6 whose input and output share one quantisation: a clamp. int8 array of 256."""
    low, high = activation_range(Activation.RELU6, quant)
    return np.clip(all_int8(), low, high).astype(np.int8)


def logistic_table(input_quant: QuantParams) -> np.ndarray:
    """LOGISTIC with output scale 1/256 and zero point -128: int8 array of 256 outputs."""
    real = float(input_quant.scale[0]) * 2.0 ** (31 - LOGISTIC_INTEGER_BITS)
    multiplier, shift = quantize_multiplier(real)
    radius = _input_radius(LOGISTIC_INTEGER_BITS, shift)
    x = all_int8() - int(input_quant.zero_point[0])
    # The clip keeps the fixed-point function inside its range; those values are replaced below.
    inside = np.clip(x, -radius, radius)
    raw = logistic(
        multiply_by_quantized_multiplier(inside, multiplier, shift), LOGISTIC_INTEGER_BITS
    )
    y = np.clip(rounding_divide_by_pot(raw, 23) + INT8_MIN, INT8_MIN, INT8_MAX)
    y = np.where(x <= -radius, INT8_MIN, np.where(x >= radius, INT8_MAX, y))
    return y.astype(np.int8)


def softmax_exp_table(input_scale: float, beta: float) -> np.ndarray:
    """exp(-beta * input_scale * d) for d = 0, 1, ...: what SOFTMAX needs of its inputs.

    Returns:
        int32 array in Q0.31 of at most 256 entries; all later ones are zero (TFLM leaves inputs
        that far below the largest out).
    """
    limit = 2.0**31 - 1.0
    real = min(beta * input_scale * (1 << (31 - SOFTMAX_INTEGER_BITS)), limit)
    if real <= 1.0:
        raise UnsupportedModelError(
            f"SOFTMAX needs beta * input scale above 2^-26, got {beta * input_scale:g}"
        )
    multiplier, shift = quantize_multiplier(real)
    largest = min(_input_radius(SOFTMAX_INTEGER_BITS, shift), 255)
    differences = -np.arange(largest + 1, dtype=np.int64)
    scaled = multiply_by_quantized_multiplier(differences, multiplier, shift)
    return exp_on_negative_values(scaled, SOFTMAX_INTEGER_BITS).astype(np.int32)


def _input_radius(integer_bits: int, left_shift: int) -> int:
    """Largest input that still has `integer_bits` integer bits after the left shift."""
    return math.floor(((1 << integer_bits) - 1) * 2.0 ** (31 - integer_bits) / 2.0**left_shift)


def operator_table(op: Operator) -> np.ndarray:
    """Table of a QUANTIZE, RELU, RELU6 or LOGISTIC operator: int8 array of 256 outputs."""
    source, target = op.inputs[0].quant, op.output.quant
    if op.kind == "QUANTIZE":
        return rescale_table(source, target, Activation.NONE)
    if op.kind == "RELU":
        return rescale_table(source, target, Activation.RELU)
    if op.kind == "RELU6":
        return relu6_table(source)
    if op.kind == "LOGISTIC":
        return logistic_table(source)
    raise ValueError(f"{op.kind} is not computed by a table")
