"""Fixed-point exp, reciprocal and sigmoid, equal bit by bit to gemmlowp's.

A number with `i` integer bits is an int32 `raw` that stands for raw * 2^(i - 31), written
Q(i).(31 - i). TFLM computes SOFTMAX and LOGISTIC with these functions on the device; here they
fill look-up tables at compile time. Arrays are int64 and hold int32 values.
"""

from __future__ import annotations

import numpy as np

from trecx.ir.quantize import (
    INT32_MAX,
    INT32_MIN,
    rounding_divide_by_pot,
    wrap_int32,
)
from trecx.ir.quantize import saturating_rounding_doubling_high_mul as mul

ONE_Q0 = INT32_MAX  # 1.0 with no integer bit, saturated

# exp(-2^k) in Q0.31 for the bits of the argument's absolute value, from 1/4 upwards.
_EXP_OF_MINUS_POWER = {
    -2: 1672461947,
    -1: 1302514674,
    0: 790015084,
    1: 290630308,
    2: 39332535,
    3: 720401,
    4: 242,
}
_EXP_MINUS_ONE_EIGHTH = 1895147668  # Q0.31
_ONE_THIRD = 715827883  # Q0.31
_48_OVER_17 = 1515870810  # Q2.29
_MINUS_32_OVER_17 = -1010580540  # Q2.29
_ONE_Q2 = 1 << 29


def saturating_multiply_by_pot(x: np.ndarray, exponent: int) -> np.ndarray:
    """x * 2^exponent: to the left it saturates, to the right it rounds."""
    if exponent <= 0:
        return rounding_divide_by_pot(x, -exponent)
    return np.clip(np.asarray(x, np.int64) << exponent, INT32_MIN, INT32_MAX)


def _exp_near_zero(a: np.ndarray) -> np.ndarray:
    """exp(a) for a in [-1/4, 0), Q0.31 to Q0.31: Taylor series of degree 4 around -1/8."""
    x = a + (1 << 28)
    x2 = mul(x, x)
    x3 = mul(x2, x)
    x4_over_4 = rounding_divide_by_pot(mul(x2, x2), 2)
    # x^4/24 + x^3/6 + x^2/2 = ((x^4/4 + x^3) / 3 + x^2) / 2
    tail = rounding_divide_by_pot(mul(x4_over_4 + x3, _ONE_THIRD) + x2, 1)
    return wrap_int32(_EXP_MINUS_ONE_EIGHTH + mul(_EXP_MINUS_ONE_EIGHTH, x + tail))


def exp_on_negative_values(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp(a) for a <= 0.

    Args:
        a: raw values with `integer_bits` integer bits (at most 5), not positive.

    Returns:
        Raw values in Q0.31.
    """
    a = np.asarray(a, np.int64)
    fractional_bits = 31 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    a_mod_quarter = (a & (quarter - 1)) - quarter  # in [-1/4, 0)
    result = _exp_near_zero(saturating_multiply_by_pot(a_mod_quarter, integer_bits))
    remainder = a_mod_quarter - a  # a multiple of 1/4, not negative
    for power, factor in _EXP_OF_MINUS_POWER.items():
        if power < integer_bits:
            bit = remainder & (1 << (fractional_bits + power))
            result = np.where(bit != 0, mul(result, factor), result)
    return np.where(a == 0, ONE_Q0, result)


def one_over_one_plus_x(a: np.ndarray) -> np.ndarray:
    """1 / (1 + a) for a in [0, 1), Q0.31 to Q0.31: three Newton-Raphson steps."""
    half_denominator = (np.asarray(a, np.int64) + ONE_Q0 + 1) >> 1
    x = _48_OVER_17 + mul(half_denominator, _MINUS_32_OVER_17)  # Q2.29
    for _ in range(3):
        error = _ONE_Q2 - mul(half_denominator, x)
        x = wrap_int32(x + saturating_multiply_by_pot(mul(x, error), 2))
    return saturating_multiply_by_pot(x, 1)  # half of x, in Q1.30, to Q0.31


def count_leading_zeros(x: np.ndarray) -> np.ndarray:
    """Leading zero bits of positive int32 values."""
    # frexp is exact: an int32 value fits a double, and its exponent is the bit length.
    return 32 - np.frexp(np.asarray(x, np.float64))[1].astype(np.int64)


def reciprocal(x: np.ndarray, integer_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """1 / x for x >= 1/2, x raw with `integer_bits` integer bits.

    Returns:
        (scale, bits): 1 / x = scale * 2^-bits, scale raw in Q0.31.
    """
    leading_zeros = count_leading_zeros(x)
    mantissa_minus_one = (np.asarray(x, np.int64) << leading_zeros) - (1 << 31)
    return one_over_one_plus_x(mantissa_minus_one), integer_bits - leading_zeros


def logistic(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """1 / (1 + exp(-a)) for any a, raw with `integer_bits` integer bits, to Q0.31."""
    a = np.asarray(a, np.int64)
    on_positive = one_over_one_plus_x(exp_on_negative_values(-np.abs(a), integer_bits))
    result = np.where(a > 0, on_positive, ONE_Q0 - on_positive)
    return np.where(a == 0, 1 << 30, result)
