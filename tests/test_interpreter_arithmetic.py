"""The quantisation arithmetic: against exact rational arithmetic, and the C header against it."""

import ctypes
import math
import subprocess
from fractions import Fraction

import numpy as np
import pytest

from tests.support.kernel_harness import DEPLOY, WARNINGS
from trecx.errors import UnsupportedModelError
from trecx.ir import quantize as q
from trecx.ir.fixedpoint import (
    count_leading_zeros,
    exp_on_negative_values,
    logistic,
    one_over_one_plus_x,
    reciprocal,
)
from trecx.ir.graph import QuantParams
from trecx.ir.ops import Activation

EDGES = np.array(
    [0, 1, -1, 2, -2, 3, -3, 2**30, -(2**30), 2**30 + 1, 2**31 - 1, -(2**31), -(2**31) + 1]
)


def values(count=4000, seed=0):
    """int32 values of every magnitude, with the edges in front."""
    rng = np.random.default_rng(seed)
    magnitude = np.exp2(rng.uniform(0, 31, count)).astype(np.int64)
    return np.concatenate([EDGES, np.clip(magnitude * rng.choice([-1, 1], count), *INT32)])


INT32 = (q.INT32_MIN, q.INT32_MAX)


def round_half_up(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


def round_half_away(x: Fraction) -> int:
    return round_half_up(x) if x >= 0 else -round_half_up(-x)


def test_high_mul_is_the_rounded_doubled_product():
    a, b = values(seed=1), values(seed=2)
    got = q.saturating_rounding_doubling_high_mul(a, b)
    for x, y, z in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
        assert z == min(round_half_up(Fraction(x * y, 2**31)), q.INT32_MAX), (x, y)


def test_high_mul_saturates_its_only_overflow():
    assert q.saturating_rounding_doubling_high_mul(q.INT32_MIN, q.INT32_MIN) == q.INT32_MAX


@pytest.mark.parametrize("exponent", [0, 1, 2, 7, 15, 30, 31])
def test_divide_by_pot_rounds_ties_away_from_zero(exponent):
    ties = np.arange(-9, 10) * (1 << exponent) // 2
    x = np.clip(np.concatenate([values(), ties, ties + 1, ties - 1]), *INT32)
    got = q.rounding_divide_by_pot(x, exponent)
    expected = [round_half_away(Fraction(v, 2**exponent)) for v in x.tolist()]
    assert got.tolist() == expected


@pytest.mark.parametrize("seed", range(3))
def test_multiplier_represents_the_factor(seed):
    rng = np.random.default_rng(seed)
    for real in np.exp2(rng.uniform(-31, 29, 300)):
        multiplier, shift = q.quantize_multiplier(real)
        assert 2**30 <= multiplier < 2**31
        assert abs(multiplier * 2.0 ** (shift - 31) / real - 1) <= 2.0**-31


def test_multiplier_special_values():
    assert q.quantize_multiplier(0.0) == (0, 0)
    assert q.quantize_multiplier(1.0) == (2**30, 1)
    assert q.quantize_multiplier(0.5) == (2**30, 0)
    # Rounds up to the next power of two.
    assert q.quantize_multiplier(math.nextafter(1.0, 0.0)) == (2**30, 1)
    # Below a right shift of 31 it is flushed to zero.
    assert q.quantize_multiplier(2.0**-32) == (2**30, -31)
    assert q.quantize_multiplier(2.0**-33) == (0, 0)


@pytest.mark.parametrize("real", [-0.5, math.nan, math.inf, 2.0**31])
def test_multiplier_rejects(real):
    with pytest.raises(UnsupportedModelError, match="requantisation factor"):
        q.quantize_multiplier(real)


def test_left_shift_wraps_like_a_register():
    # 2^30 * 4 is 0 modulo 2^32; 2^29 * 4 is -2^31.
    got = q.multiply_by_quantized_multiplier(np.array([2**30, 2**29]), 2**30, 2)
    assert got.tolist() == [0, -(2**30)]


def test_activation_ranges():
    quant = QuantParams.per_tensor(0.1, -28)
    assert q.activation_range(Activation.NONE, quant) == (-128, 127)
    assert q.activation_range(Activation.RELU, quant) == (-28, 127)
    assert q.activation_range(Activation.RELU6, quant) == (-28, 32)
    assert q.activation_range(Activation.RELU_N1_TO_1, quant) == (-38, -18)


def test_fully_connected_rounds_the_scale_product_to_float32():
    scales = (np.float32(0.1), np.float32(0.3), np.float32(0.7))
    x, w, y = (QuantParams.per_tensor(s, 0) for s in scales)
    dense, _ = q.fully_connected_multipliers(x, w, y, 1)
    conv, _ = q.conv_multipliers(x, w, y, 1)
    assert dense != conv
    exact = Fraction(float(scales[0] * scales[1])) / Fraction(float(scales[2]))
    assert dense[0] == round_half_away(exact * 2**31 * 2 ** (1 + math.floor(-math.log2(exact))) / 2)


def test_mean_multiplier_divides_by_the_count():
    source, target = QuantParams.per_tensor(0.1, 0), QuantParams.per_tensor(0.07, 0)
    for count in (1, 2, 3, 7, 64, 1000, 2**20 + 1):
        multiplier, shift = q.mean_multiplier(source, target, count)
        wanted = float(np.float32(0.1)) / float(np.float32(0.07)) / count
        assert abs(multiplier * 2.0 ** (shift - 31) / wanted - 1) < 2.0**-29


def test_add_rejects_an_output_scale_that_tflm_cannot_run():
    one, tiny = QuantParams.per_tensor(1.0, 0), QuantParams.per_tensor(2.0**-19, 0)
    with pytest.raises(UnsupportedModelError, match="ADD needs an output scale"):
        q.add_params(one, one, tiny)


# --- fixed-point functions: close to the real ones (bit-exactness is tested against TFLM) -----


@pytest.mark.parametrize("integer_bits", [4, 5])
def test_exp_is_accurate(integer_bits):
    unit = 2.0 ** (31 - integer_bits)
    x = -np.linspace(0, 2**integer_bits - 0.01, 5000)
    got = exp_on_negative_values(np.rint(x * unit), integer_bits) / 2.0**31
    assert np.max(np.abs(got - np.exp(x))) < 3e-7


def test_sigmoid_and_reciprocal_are_accurate():
    x = np.linspace(-15.9, 15.9, 5001)
    got = logistic(np.rint(x * 2.0**27), 4) / 2.0**31
    assert np.max(np.abs(got - 1 / (1 + np.exp(-x)))) < 3e-7
    a = np.linspace(0, 0.999, 1000)
    assert np.max(np.abs(one_over_one_plus_x(np.rint(a * 2.0**31)) / 2.0**31 - 1 / (1 + a))) < 1e-8
    scale, bits = reciprocal(np.array([3 << 19, 100 << 19]), 12)
    assert np.allclose(scale / 2.0**31 / 2.0**bits, [1 / 3, 1 / 100], rtol=1e-8)


def test_count_leading_zeros():
    x = np.array([1, 2, 3, 2**30 - 1, 2**30, 2**31 - 1])
    assert count_leading_zeros(x).tolist() == [32 - int(v).bit_length() for v in x]


# --- the C header ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def c_arith(tmp_path_factory):
    """deploy/include/trecx/arith.h as a shared library that works on arrays."""
    folder = tmp_path_factory.mktemp("arith")
    source = folder / "arith.c"
    source.write_text(
        '#include "trecx/arith.h"\n'
        "void scale(int n, const int32_t *x, int32_t m, int32_t s, int32_t *y) {\n"
        "  for (int i = 0; i < n; i++) y[i] = trecx_multiply_by_quantized_multiplier(x[i], m, s);\n"
        "}\n"
        "void requantize(int n, const int32_t *x, int32_t m, int32_t s, int32_t zp, int8_t *y) {\n"
        "  for (int i = 0; i < n; i++) y[i] = trecx_requantize(x[i], m, s, zp, -128, 127);\n"
        "}\n"
    )
    library = folder / "arith.so"
    options = [*WARNINGS, "-O2", "-shared", "-fPIC", f"-I{DEPLOY / 'include'}"]
    subprocess.run(["gcc", *options, str(source), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def _pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


@pytest.mark.parametrize("shift", [-31, -30, -17, -8, -1, 0, 1, 5, 31])
@pytest.mark.parametrize("multiplier", [0, 2**30, 1518500250, 2**31 - 1])
def test_c_requantisation_equals_numpy(c_arith, multiplier, shift):
    x = values(seed=shift + 40).astype(np.int32)
    scaled = np.empty_like(x)
    c_arith.scale(x.size, _pointer(x), multiplier, shift, _pointer(scaled))
    assert np.array_equal(scaled, q.multiply_by_quantized_multiplier(x, multiplier, shift))
    for zero_point in (-128, 0, 127):
        out = np.empty(x.size, np.int8)
        c_arith.requantize(x.size, _pointer(x), multiplier, shift, zero_point, _pointer(out))
        assert np.array_equal(out, q.requantize(x, multiplier, shift, zero_point, -128, 127))
