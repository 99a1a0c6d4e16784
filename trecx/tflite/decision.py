"""Exit decisions as TFLite operators: from an int8 exit output to one bool.

Every form takes the same decision as the integer policy, for every int8 input, on TFLM as on
TFLite; only operators that TFLM has are used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trecx.errors import UnsupportedModelError
from trecx.ir.graph import QuantParams, Tensor
from trecx.tflite import schema
from trecx.tflite.assemble import SubgraphAssembler

# A margin needs a table of units x units bytes.
_MAX_MARGIN_UNITS = 64

# Versions of the operators in which their int8 kernels came.
_VERSION = {"RESHAPE": 1}
_INT8_VERSION = 2

_ALWAYS, _NEVER = -128, 128
_AS_INTEGERS = QuantParams.per_tensor(1 / 256, -128)


@dataclass(frozen=True)
class Exit:
    """The exit output inside a subgraph: its tensor number, and its description.

    is_softmax: the values are probabilities that add up to one.
    """

    place: int
    tensor: Tensor
    is_softmax: bool

    @property
    def units(self) -> int:
        return self.tensor.size


def class_units(policy: dict, units: int) -> int:
    """How many leading values of the exit output are class scores."""
    return units - 1 if policy.get("kind") == "confidence" else units


def add_decision(part: SubgraphAssembler, exit_: Exit, policy: dict) -> int:
    """Add the operators that decide; the number of a bool tensor with one element.

    policy: a device policy's manifest entry (`trecx.policies`). Raises UnsupportedModelError when
    it cannot be expressed with operators of TFLM.
    """
    kind = str(policy.get("kind"))
    if kind not in _DECISIONS:
        raise UnsupportedModelError(
            f"exit policy {kind!r} cannot be written with operators of TensorFlow Lite Micro; "
            f"a cascade can have {', '.join(sorted(_DECISIONS))}: use the segments instead"
        )
    if len(exit_.tensor.shape) != 2 or exit_.tensor.shape[0] != 1:
        raise UnsupportedModelError(
            f"the exit output has the shape {list(exit_.tensor.shape)}: a cascade needs [1, units]"
        )
    return _DECISIONS[kind](_Builder(part, exit_), policy)


class _Builder:
    """Adds int8 operators with the exit's quantisation."""

    def __init__(self, part: SubgraphAssembler, exit_: Exit):
        self.part = part
        self.exit = exit_
        self.quant = exit_.tensor.quant

    def int8(self, name: str, shape: tuple[int, ...], quant: QuantParams | None = None) -> int:
        return self.part.tensor(f"exit_decision/{name}", "INT8", shape, quant or self.quant)

    def table(self, name: str, values: object, quant: QuantParams | None = None) -> int:
        data = np.array(values, np.int8)
        name = f"exit_decision/{name}"
        return self.part.tensor(name, "INT8", data.shape, quant or self.quant, data)

    def numbers(self, name: str, values: object) -> int:
        data = np.array(values, np.int32)
        return self.part.tensor(f"exit_decision/{name}", "INT32", data.shape, None, data)

    def operator(self, kind: str, inputs: list[int], output: int, options: str, **values) -> int:
        version = _VERSION.get(kind, _INT8_VERSION)
        record = schema.new(options, **values)
        self.part.operator(kind, version, inputs, [output], record)
        return output

    def largest(self, scores: int, name: str) -> int:
        axis = self.numbers("class_axis", [1])
        return self.operator("REDUCE_MAX", [scores, axis], self.int8(name, (1,)), "ReducerOptions")

    def top_class(self) -> int:
        """Index of the first maximum, int32."""
        output = self.part.tensor("exit_decision/top_class", "INT32", (1,))
        int32 = schema.TENSOR_TYPE_CODE["INT32"]
        axis = self.numbers("class_axis_scalar", 1)
        inputs = [self.exit.place, axis]
        return self.operator("ARG_MAX", inputs, output, "ArgMaxOptions", output_type=int32)

    def look_up(self, table: int, index: int, output: int) -> int:
        """Row `index` of a table."""
        return self.operator("GATHER", [table, index], output, "GatherOptions")

    def at_least(self, score: int, limit: Callable[[QuantParams], int], strict: bool) -> int:
        """score >= limit (or > when `strict`), as a bool.

        The comparison kernels rescale both sides by the tensors' scale to 8 fractional bits. Below
        a scale of 1/256 neighbouring values would fall together, and from 1 on the kernels
        refuse; RESHAPE then relabels the same bytes with a scale for which all is exact.
        """
        quant = self.quant
        if not 1 / 256 <= quant.scale[0] < 1:
            quant = _AS_INTEGERS
            relabelled = self.int8("score", (1,), quant)
            shape = self.numbers("score_shape", [1])
            score = self.operator("RESHAPE", [score, shape], relabelled, "ReshapeOptions")
        output = self.part.tensor("exit_decision/stop", "BOOL", (1,))
        kind = "GREATER" if strict else "GREATER_EQUAL"
        options = "GreaterOptions" if strict else "GreaterEqualOptions"
        return self.operator(kind, [score, limit(quant)], output, options)


def _integer(policy: dict, key: str, low: int, high: int) -> int:
    value = policy.get(key)
    if type(value) is not int or not low <= value <= high:
        raise UnsupportedModelError(
            f"{key} of exit policy {policy['kind']!r} must be an integer from {low} to {high}"
        )
    return value


def _integers(policy: dict, key: str, low: int, high: int) -> list[int]:
    values = policy.get(key)
    if not isinstance(values, (list, tuple)):
        raise UnsupportedModelError(f"{key} of exit policy {policy['kind']!r} must be a list")
    return [_integer(policy | {key: value}, key, low, high) for value in values]


def _constant_limit(builder: _Builder, value: int) -> Callable[[QuantParams], int]:
    return lambda quant: builder.table("threshold", [value], quant)


def _top_class_thresholds(builder: _Builder, policy: dict) -> int:
    thresholds = _integers(policy, "thresholds", _ALWAYS, _NEVER)
    if len(thresholds) != builder.exit.units:
        raise UnsupportedModelError(
            f"{len(thresholds)} thresholds for an exit output of {builder.exit.units} values"
        )
    thresholds, strict = _comparable(thresholds, builder.exit.is_softmax)
    top = builder.largest(builder.exit.place, "top_score")
    if len(set(thresholds)) == 1:
        return builder.at_least(top, _constant_limit(builder, thresholds[0]), strict)
    index = builder.top_class()

    def limit(quant: QuantParams) -> int:
        table = builder.table("class_thresholds", thresholds, quant)
        return builder.look_up(table, index, builder.int8("threshold", (1,), quant))

    return builder.at_least(top, limit, strict)


def _comparable(thresholds: list[int], is_softmax: bool) -> tuple[list[int], bool]:
    """Thresholds that fit int8, and whether the comparison with them is strict.

    128 ("never") does not fit, but q >= t is q > t - 1. Where "always" (-128) occurs beside it,
    -127 is the same for a softmax: its largest value is above -128 (up to 256 classes).
    """
    if max(thresholds) < _NEVER:
        return thresholds, False
    if min(thresholds) == _ALWAYS and is_softmax and len(thresholds) <= 256:
        thresholds = [max(t, _ALWAYS + 1) for t in thresholds]
    if min(thresholds) == _ALWAYS:
        raise UnsupportedModelError(
            "exit thresholds that are always and never reached cannot stand in one int8 table"
        )
    return [t - 1 for t in thresholds], True


def _confidence(builder: _Builder, policy: dict) -> int:
    unit = _integer(policy, "unit", 0, 2**31 - 1)
    limit = _integer(policy, "limit", _ALWAYS, _NEVER)
    if unit != builder.exit.units - 1:
        raise UnsupportedModelError(
            f"the confidence is value {unit} of {builder.exit.units}: the last one expected"
        )
    begin, size = builder.numbers("begin", [0, unit]), builder.numbers("size", [1, 1])
    inputs = [builder.exit.place, begin, size]
    score = builder.operator("SLICE", inputs, builder.int8("value", (1, 1)), "SliceOptions")
    limits, strict = _comparable([limit], False)
    return builder.at_least(score, _constant_limit(builder, limits[0]), strict)


def _margin(builder: _Builder, policy: dict) -> int:
    """The second largest score is the largest after the first maximum is lowered to -128."""
    units = builder.exit.units
    limit = _integer(policy, "limit", 0, 256)
    if units > _MAX_MARGIN_UNITS:
        raise UnsupportedModelError(
            f"a margin over {units} classes needs too large a table, at most {_MAX_MARGIN_UNITS}"
        )
    top = builder.largest(builder.exit.place, "top_score")
    masks = np.where(np.eye(units, dtype=bool), -128, 127)
    table = builder.table("masks", masks)
    mask = builder.look_up(table, builder.top_class(), builder.int8("mask", (1, units)))
    rest = builder.int8("rest", (1, units))
    builder.operator("MINIMUM", [builder.exit.place, mask], rest, "MaximumMinimumOptions")
    second = builder.largest(rest, "second_score")
    # With zero point -128 and an unchanged scale, SUB gives the exact difference less 128.
    quant = QuantParams(builder.quant.scale, np.array([-128], np.int32))
    margin = builder.int8("margin", (1,), quant)
    builder.operator("SUB", [top, second], margin, "SubOptions", pot_scale_int16=False)
    builder.quant = quant
    limits, strict = _comparable([limit - 128], False)
    return builder.at_least(margin, _constant_limit(builder, limits[0]), strict)


_DECISIONS: dict[str, Callable[[_Builder, dict], int]] = {
    "top_class_thresholds": _top_class_thresholds,
    "confidence": _confidence,
    "margin": _margin,
}
