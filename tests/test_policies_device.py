"""Exit policies: the integer device form equals the host rule and the C function, exhaustively."""

import ctypes
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from trecx.errors import InputError
from trecx.policies.device import (
    NEVER,
    Confidence,
    DevicePolicy,
    Margin,
    TableSum,
    TopClassThresholds,
    from_manifest,
    predicted_class,
)
from trecx.policies.rules import (
    ENTROPY_UNITS,
    ClassThresholds,
    Entropy,
    LearnedConfidence,
    MaxSoftmax,
    TopMargin,
    dequantize,
    entropy_table,
    rule_from_manifest,
)

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
INT8 = np.arange(-128, 128, dtype=np.int8)
# Every pair of int8 values: all there is for two classes.
PAIRS = np.stack(np.meshgrid(INT8, INT8, indexing="ij"), axis=-1).reshape(-1, 2)
QUANTS = [(1 / 256, -128), (0.0037, -100), (0.0117, 3)]


def random_outputs(units: int, count: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(units)
    uniform = rng.integers(-128, 128, (count, units), dtype=np.int8)
    peaked = np.full((count, units), -128, np.int8)
    peaked[np.arange(count), rng.integers(0, units, count)] = rng.integers(-128, 128, count)
    return np.concatenate([uniform, peaked])


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> ctypes.CDLL:
    out = tmp_path_factory.mktemp("c") / "exit_policy.so"
    command = ["gcc", "-std=c99", "-O1", "-shared", "-fPIC"]
    command += ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"]
    source = DEPLOY / "runtime" / "exit_policy.c"
    subprocess.run([*command, f"-I{DEPLOY / 'include'}", source, "-o", out], check=True)
    return ctypes.CDLL(str(out))


def run_in_c(library: ctypes.CDLL, policy: DevicePolicy, q: np.ndarray) -> np.ndarray:
    """The decisions of the C function that `device_call` names, called exactly as it says."""
    units = q.shape[1]
    call = policy.device_call(units)
    ctypes_of = {"int16_t": ctypes.c_int16, "int32_t": ctypes.c_int32}
    arrays = [(ctypes_of[t] * len(v))(*v) for t, v in call.arrays.values()]
    scalars = [ctypes.c_int32(s) for s in call.scalars]
    function = getattr(library, call.function)
    rows = np.ascontiguousarray(q)
    base, stride = rows.ctypes.data, rows.strides[0]
    decisions = [
        function(ctypes.c_void_p(base + i * stride), ctypes.c_uint32(units), *arrays, *scalars)
        for i in range(len(rows))
    ]
    assert set(decisions) <= {0, 1}
    return np.array(decisions, bool)


RULES = [
    *(MaxSoftmax(t) for t in (0.0, 0.25, 0.5, 0.5 + 1e-9, 0.9, 255 / 256, 1.0)),
    ClassThresholds((0.3, 0.95)),
    ClassThresholds((1.0, 0.0)),
    *(Entropy(t) for t in (0.0, 0.1, 0.3, np.log(2), 5.0)),
    *(TopMargin(t) for t in (0.0, 1 / 256, 0.3, 0.99, 1.0)),
    *(LearnedConfidence(t) for t in (0.0, 0.5, 0.77, 1.0)),
]


@pytest.mark.parametrize("quant", QUANTS, ids=str)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_device_form_equals_host_rule_for_every_pair_of_int8_values(rule, quant):
    device = rule.to_device(2, *quant)
    assert np.array_equal(device.decide(PAIRS), rule.decide(dequantize(PAIRS, *quant)))


@pytest.mark.parametrize("rule", [r for r in RULES if not isinstance(r, ClassThresholds)], ids=str)
def test_device_form_equals_host_rule_for_ten_units(rule):
    q = random_outputs(10)
    assert np.array_equal(rule.to_device(10).decide(q), rule.decide(dequantize(q)))


def test_class_thresholds_with_ten_units_use_the_first_of_equal_maxima():
    rule = ClassThresholds(tuple(np.linspace(0.1, 1.0, 10)))
    q = random_outputs(10)
    assert np.array_equal(rule.to_device(10).decide(q), rule.decide(dequantize(q)))
    tie = np.array([[-128, 0, 0]], np.int8)
    assert TopClassThresholds((0, 0, NEVER)).decide(tie).tolist() == [True]
    assert TopClassThresholds((0, NEVER, 0)).decide(tie).tolist() == [False]


@pytest.mark.parametrize("threshold", [*INT8.tolist(), NEVER])
def test_max_softmax_threshold_is_exact_at_every_int8_step(threshold):
    """A rho on the grid excludes its own step; half a step below includes it (rule: p > rho)."""
    q = np.stack([INT8, np.full(256, -128, np.int8)], axis=1)
    rho = (threshold + 128) / 256
    decided = MaxSoftmax(min(rho, 1.0)).to_device(2).decide(q)
    assert np.array_equal(decided, threshold < INT8)
    if threshold > -128:
        half_below = MaxSoftmax(rho - 1 / 512).to_device(2)
        assert half_below == TopClassThresholds((threshold,) * 2)


@pytest.mark.parametrize("rule", RULES[::2], ids=str)
def test_c_equals_python_for_every_pair_of_int8_values(library, rule):
    device = rule.to_device(2)
    assert np.array_equal(run_in_c(library, device, PAIRS), device.decide(PAIRS))


@pytest.mark.parametrize("units", [1, 2, 3, 10, 35])
def test_c_equals_python_for_many_units(library, units):
    rng = np.random.default_rng(units)
    q = random_outputs(units, 300)
    policies = [TopClassThresholds(tuple(int(t) for t in rng.integers(-128, 129, units)))]
    policies += [TableSum(entropy_table(), int(limit)) for limit in rng.integers(0, 2**21, 3)]
    if units > 1:
        policies += [Margin(int(m)) for m in (0, 1, 17, 255, 256)]
        policies += [Confidence(units - 1, int(t)) for t in (-128, 0, 127, NEVER)]
    for policy in policies:
        assert np.array_equal(run_in_c(library, policy, q), policy.decide(q)), policy


def test_c_table_sum_reaches_the_32_bit_limit(library):
    policy = TableSum((2**30 - 1,) * 256, 2**31 - 2)
    q = np.zeros((1, 2), np.int8)
    assert run_in_c(library, policy, q).tolist() == [True]
    with pytest.raises(InputError, match="32 bits"):
        policy.device_call(3)


def test_c_argmax_equals_numpy(library):
    for units in (1, 2, 12):
        q = random_outputs(units, 500)
        got = [library.trecx_argmax_s8(row.ctypes.data_as(ctypes.c_void_p), units) for row in q]
        assert np.array_equal(got, np.argmax(q, axis=1))


def test_entropy_table_matches_the_definition_within_its_resolution():
    p = np.array([[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]])
    q = np.rint(p * 256 - 128).astype(np.int8)
    exact = -(dequantize(q) * np.log(dequantize(q))).sum(axis=1)
    sums = TableSum(entropy_table(), 0).sums(q) / ENTROPY_UNITS
    assert np.abs(sums - exact).max() < 2 / ENTROPY_UNITS


@pytest.mark.parametrize(
    "policy",
    [
        TopClassThresholds((1, NEVER, -128)),
        TableSum(entropy_table(), 12345),
        Margin(3),
        Confidence(10, 0),
    ],
    ids=lambda p: p.kind,
)
def test_manifest_round_trip(policy):
    assert from_manifest(json.loads(json.dumps(policy.to_manifest()))) == policy


@pytest.mark.parametrize("rule", RULES[::3], ids=str)
def test_rule_manifest_round_trip(rule):
    assert rule_from_manifest(rule.to_manifest()) == rule


@pytest.mark.parametrize("make", [MaxSoftmax, TopMargin, LearnedConfidence])
@pytest.mark.parametrize("value", [-0.1, 1.01, float("nan"), "0.5"])
def test_threshold_outside_0_to_1_is_refused(make, value):
    with pytest.raises(InputError, match="must be from 0 to 1, got"):
        make(value)


@pytest.mark.parametrize(
    "entry, message",
    [
        ({"kind": "guess"}, "unknown exit policy kind 'guess': known are confidence, margin"),
        ({"kind": "margin"}, "wrong fields"),
        ({"kind": "margin", "limit": 300}, "from 0 to 256, got 300"),
        ({"kind": "margin", "limit": 0.5}, "must be integers"),
        ({"kind": "table_sum", "table": [1, 2], "limit": 1}, "256 table entries, got 2"),
        ({"kind": "top_class_thresholds", "thresholds": [129]}, "from -128 to 128, got 129"),
        (None, "unknown exit policy kind None"),
    ],
)
def test_damaged_manifest_is_refused(entry, message):
    with pytest.raises(InputError, match=message):
        from_manifest(entry)


def test_policy_that_does_not_fit_the_output_is_refused():
    with pytest.raises(InputError, match="3 thresholds, the exit output has 2"):
        TopClassThresholds((0, 0, 0)).device_call(2)
    with pytest.raises(InputError, match="at least 2 class scores"):
        Margin(1).validate(1)
    with pytest.raises(InputError, match="index 10"):
        Confidence(9, 0).validate(11)


def test_the_class_of_an_exit_with_confidence_ignores_the_confidence():
    q = np.array([[-100, 20, 127]], np.int8)
    assert predicted_class(Confidence(2, 0), q).tolist() == [1]
    assert predicted_class(None, q).tolist() == [2]
