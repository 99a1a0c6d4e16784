"""Integer quantisation arithmetic, equal bit by bit to TensorFlow Lite Micro's.

Two halves. The parameters: floating point, computed once at compile time, with the float and
double steps that TFLite takes (they decide the last bit of a multiplier). The arithmetic: what
the device does with them, here on NumPy int64 arrays that hold int32 values.

Sources: B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (2018), section 2.2, for the scheme; gemmlowp's fixed-point
conventions for the roundings. 32-bit sums and left shifts wrap modulo 2^32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trecx.errors import UnsupportedModelError
from trecx.ir.graph import QuantParams
from trecx.ir.ops import Activation

INT8_MIN, INT8_MAX = -128, 127
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1

# ADD works on inputs scaled up by this many bits, so that their rescaling loses nothing visible.
ADD_LEFT_SHIFT = 20


# --- parameters: floating point, at compile time ---------------------------------------------


def round_half_away(x: float) -> int:
    """Nearest integer, ties away from zero (C's `round`; Python's own rounds ties to even)."""
    below = math.floor(abs(x))
    magnitude = below + (abs(x) - below >= 0.5)
    return int(math.copysign(magnitude, x))


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Represent a non-negative factor as `multiplier * 2^(shift - 31)`.

    Args:
        real: the factor, a double.

    Returns:
        (multiplier, shift): multiplier in [2^30, 2^31) or 0; shift is positive to the left.
        A factor too small for a right shift of 31 becomes (0, 0).

    Raises:
        UnsupportedModelError: the factor is negative, infinite or not a number.
    """
    if not (math.isfinite(real) and real >= 0):
        raise UnsupportedModelError(f"a requantisation factor must be finite and >= 0, got {real}")
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * 2.0**31)
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    if shift > 31:
        raise UnsupportedModelError(
            f"a requantisation factor must be below 2^31, got {real}: check the tensors' scales"
        )
    return multiplier, shift


def quantize_multipliers(reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`quantize_multiplier` of each element: two int32 arrays of the same length."""
    pairs = np.array([quantize_multiplier(float(r)) for r in reals], np.int32).reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def _quantize_float32(value: float, quant: QuantParams) -> int:
    """TFLite's quantisation of an activation bound: the division is in float32."""
    quotient = np.float32(value) / np.float32(quant.scale[0])
    return int(quant.zero_point[0]) + round_half_away(float(quotient))


def activation_range(activation: Activation, out_quant: QuantParams) -> tuple[int, int]:
    """Smallest and largest int8 output that a fused activation lets through, both inclusive."""
    real_bounds = {
        Activation.NONE: (None, None),
        Activation.RELU: (0.0, None),
        Activation.RELU_N1_TO_1: (-1.0, 1.0),
        Activation.RELU6: (0.0, 6.0),
    }[activation]
    low, high = INT8_MIN, INT8_MAX
    if real_bounds[0] is not None:
        low = max(low, _quantize_float32(real_bounds[0], out_quant))
    if real_bounds[1] is not None:
        high = min(high, _quantize_float32(real_bounds[1], out_quant))
    return low, high


def conv_multipliers(
    input_quant: QuantParams, weight_quant: QuantParams, output_quant: QuantParams, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Requantisation of CONV_2D, DEPTHWISE_CONV_2D and per-channel FULLY_CONNECTED.

    The float32 scales are widened to double first: input * weight / output.

    Args:
        channels: number of output channels; a per-tensor weight scale is repeated.

    Returns:
        (multipliers, shifts): int32 arrays of shape (channels,).
    """
    weight_scales = np.broadcast_to(weight_quant.scale.astype(np.float64), (channels,))
    scale_in = float(input_quant.scale[0])
    scale_out = float(output_quant.scale[0])
    return quantize_multipliers(scale_in * weight_scales / scale_out)


def fully_connected_multipliers(
    input_quant: QuantParams, weight_quant: QuantParams, output_quant: QuantParams, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Requantisation of FULLY_CONNECTED: as conv_multipliers when the weights are per channel.

    With one weight scale the product of the two scales is rounded to float32 before it is
    widened; the result can differ in the last bit from the per-channel formula.
    """
    if not weight_quant.is_per_tensor:
        return conv_multipliers(input_quant, weight_quant, output_quant, channels)
    product = np.float32(input_quant.scale[0]) * np.float32(weight_quant.scale[0])
    real = float(product) / float(output_quant.scale[0])
    return quantize_multipliers(np.full(channels, real))


def rescale_multiplier(input_quant: QuantParams, output_quant: QuantParams) -> tuple[int, int]:
    """Factor from one scale to another, for QUANTIZE, RELU and the like: input / output."""
    return quantize_multiplier(float(input_quant.scale[0]) / float(output_quant.scale[0]))


@dataclass(frozen=True)
class AddParams:
    """ADD: each input is shifted left by ADD_LEFT_SHIFT, rescaled, summed, rescaled again."""

    input1_multiplier: int
    input1_shift: int
    input2_multiplier: int
    input2_shift: int
    output_multiplier: int
    output_shift: int


def add_params(quant1: QuantParams, quant2: QuantParams, output_quant: QuantParams) -> AddParams:
    """The three rescalings of ADD. All factors are below one.

    Raises:
        UnsupportedModelError: the output scale is so small that its factor is one or more
            (TFLM stops the program there).
    """
    scale1, scale2 = float(quant1.scale[0]), float(quant2.scale[0])
    twice_max = 2.0 * max(scale1, scale2)
    real_output = twice_max / ((1 << ADD_LEFT_SHIFT) * float(output_quant.scale[0]))
    if real_output >= 1.0:
        raise UnsupportedModelError(
            f"ADD needs an output scale above {twice_max / (1 << ADD_LEFT_SHIFT):g}, "
            f"got {float(output_quant.scale[0]):g}"
        )
    return AddParams(
        *quantize_multiplier(scale1 / twice_max),
        *quantize_multiplier(scale2 / twice_max),
        *quantize_multiplier(real_output),
    )


def mean_multiplier(
    input_quant: QuantParams, output_quant: QuantParams, count: int
) -> tuple[int, int]:
    """Requantisation of a sum of `count` values to their mean: the division is folded in.

    The multiplier is shifted up before the division, so that it keeps about 31 bits.
    """
    multiplier, shift = rescale_multiplier(input_quant, output_quant)
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << extra) // count, shift - extra


# --- arithmetic: what the device does, on int64 arrays of int32 values -----------------------


def wrap_int32(x: np.ndarray) -> np.ndarray:
    """Reduce modulo 2^32 into the int32 range, as 32-bit registers do. int64 to int64."""
    return np.asarray(x, np.int64).astype(np.int32).astype(np.int64)


def saturating_rounding_doubling_high_mul(a, b) -> np.ndarray:
    """High 32 bits of 2ab, rounded to nearest, ties towards plus infinity. int64 to int64.

    The one overflow, both operands -2^31, saturates to 2^31 - 1.
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return np.minimum((product + (1 << 30)) >> 31, INT32_MAX)


def rounding_divide_by_pot(x, exponent) -> np.ndarray:
    """x / 2^exponent, rounded to nearest, ties away from zero. exponent: 0..31. int64 to int64."""
    x = np.asarray(x, np.int64)
    exponent = np.asarray(exponent, np.int64)
    half = (np.int64(1) << exponent) >> 1
    # A negative tie must go down: one less than half is added.
    tie_down = (x >> 63) * (exponent > 0)
    return (x + half + tie_down) >> exponent


def multiply_by_quantized_multiplier(x, multiplier, shift) -> np.ndarray:
    """x * multiplier * 2^(shift - 31) with TFLM's two roundings.

    Args:
        x: int32 values, any integer dtype, any shape.
        multiplier, shift: of `quantize_multiplier`; scalars or arrays that broadcast.

    Returns:
        int64 array of int32 values. A left shift that overflows wraps.
    """
    shift = np.asarray(shift, np.int64)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    shifted = np.asarray(x, np.int64)
    if np.any(left):
        shifted = wrap_int32(shifted << left)
    return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(shifted, multiplier), right)


def requantize(acc, multiplier, shift, zero_point: int, low: int, high: int) -> np.ndarray:
    """Accumulators to int8: scale, add the output zero point, clamp to [low, high].

    acc: int32 values; multiplier and shift broadcast against it (the last axis is channels).
    """
    scaled = multiply_by_quantized_multiplier(acc, multiplier, shift)
    return np.clip(wrap_int32(scaled + zero_point), low, high).astype(np.int8)
