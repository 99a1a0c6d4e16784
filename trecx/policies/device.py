"""Exit policies in the form that the device executes: integer look-ups and comparisons.

A policy reads the int8 output of an exit, `q` of shape (N, units), and says for each sample
whether to stop there. `decide` is the executable specification of the C functions in
deploy/runtime/exit_policy.c; the two are equal for every int8 input.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from trecx.errors import InputError

NEVER = 128
"""A threshold above every int8 value: the exit is not taken."""


@dataclass(frozen=True)
class DeviceCall:
    """The C call `function(q, units, <arrays...>, <scalars...>)`: 1 to stop, 0 to go on.

    arrays: parameter name -> (C element type, values); each becomes a const array.
    scalars: int32 arguments that follow the arrays.
    """

    function: str
    arrays: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    scalars: tuple[int, ...] = ()


class DevicePolicy:
    """Interface of the device forms below; all are frozen dataclasses of integers."""

    kind: ClassVar[str]

    def decide(self, q: np.ndarray) -> np.ndarray:
        """Whether to stop, bool (N,), for exit outputs q, int8 (N, units)."""
        raise NotImplementedError

    def classes(self, units: int) -> int:
        """How many leading values of an exit output of `units` values are class scores."""
        return units

    def validate(self, units: int) -> None:
        """InputError when the policy does not fit an exit output of `units` values."""
        raise NotImplementedError

    def device_call(self, units: int) -> DeviceCall:
        """The C call that takes the same decision."""
        raise NotImplementedError

    def to_manifest(self) -> dict:
        """A JSON-able description, read back by `from_manifest`."""
        raise NotImplementedError


@dataclass(frozen=True)
class TopClassThresholds(DevicePolicy):
    """Stop when the top score reaches the threshold of the top class (its first maximum).

    thresholds: one int16 for each class, `NEVER` (128) above every score; all equal: max-softmax.
    """

    kind: ClassVar[str] = "top_class_thresholds"
    thresholds: tuple[int, ...]

    def __post_init__(self) -> None:
        _require_range("thresholds", self.thresholds, -128, NEVER)

    def decide(self, q: np.ndarray) -> np.ndarray:
        top = np.argmax(q, axis=1)
        return np.max(q, axis=1).astype(np.int16) >= np.array(self.thresholds, np.int16)[top]

    def validate(self, units: int) -> None:
        if len(self.thresholds) != units:
            raise InputError(
                f"the exit policy has {len(self.thresholds)} thresholds, the exit output has "
                f"{units} values: one threshold for each class is needed"
            )

    def device_call(self, units: int) -> DeviceCall:
        self.validate(units)
        return DeviceCall("trecx_exit_top_class", {"thresholds": ("int16_t", self.thresholds)})

    def to_manifest(self) -> dict:
        return {"kind": self.kind, "thresholds": list(self.thresholds)}


@dataclass(frozen=True)
class TableSum(DevicePolicy):
    """Stop when the sum over the scores of table[q + 128] is at most `limit`: entropy.

    table: 256 non-negative int32; limit: int32.
    """

    kind: ClassVar[str] = "table_sum"
    table: tuple[int, ...]
    limit: int

    def __post_init__(self) -> None:
        if len(self.table) != 256:
            raise InputError(f"a table sum needs 256 table entries, got {len(self.table)}")
        _require_range("table", self.table, 0, 2**31 - 1)
        _require_range("limit", (self.limit,), -(2**31), 2**31 - 1)

    def sums(self, q: np.ndarray) -> np.ndarray:
        """The compared sums, int64 (N,)."""
        return np.array(self.table, np.int64)[q.astype(np.int16) + 128].sum(axis=1)

    def decide(self, q: np.ndarray) -> np.ndarray:
        return self.sums(q) <= self.limit

    def validate(self, units: int) -> None:
        if units * max(self.table) >= 2**31:
            raise InputError(
                f"the table sum over {units} values can exceed 32 bits: use a coarser table"
            )

    def device_call(self, units: int) -> DeviceCall:
        self.validate(units)
        return DeviceCall("trecx_exit_table_sum", {"table": ("int32_t", self.table)}, (self.limit,))

    def to_manifest(self) -> dict:
        return {"kind": self.kind, "table": list(self.table), "limit": self.limit}


@dataclass(frozen=True)
class Margin(DevicePolicy):
    """Stop when the largest score exceeds the second largest by at least `limit` (256: never)."""

    kind: ClassVar[str] = "margin"
    limit: int

    def __post_init__(self) -> None:
        _require_range("limit", (self.limit,), 0, 256)

    def margins(self, q: np.ndarray) -> np.ndarray:
        """Largest minus second largest score, int16 (N,)."""
        top_two = np.partition(q, -2, axis=1)[:, -2:].astype(np.int16)
        return top_two[:, 1] - top_two[:, 0]

    def decide(self, q: np.ndarray) -> np.ndarray:
        return self.margins(q) >= self.limit

    def validate(self, units: int) -> None:
        if units < 2:
            raise InputError(f"a margin needs at least 2 class scores, the exit output has {units}")

    def device_call(self, units: int) -> DeviceCall:
        self.validate(units)
        return DeviceCall("trecx_exit_margin", {}, (self.limit,))

    def to_manifest(self) -> dict:
        return {"kind": self.kind, "limit": self.limit}


@dataclass(frozen=True)
class Confidence(DevicePolicy):
    """Stop when the learned confidence, value `unit` of the exit output, is at least `limit`.

    The exit output is concat(class scores, confidence): `unit` is its last index, and the classes
    are the values before it. limit: int16; `NEVER` (128) is above every value.
    """

    kind: ClassVar[str] = "confidence"
    unit: int
    limit: int

    def __post_init__(self) -> None:
        _require_range("unit", (self.unit,), 1, 2**31 - 1)
        _require_range("limit", (self.limit,), -128, NEVER)

    def decide(self, q: np.ndarray) -> np.ndarray:
        return q[:, self.unit].astype(np.int16) >= self.limit

    def classes(self, units: int) -> int:
        return units - 1

    def validate(self, units: int) -> None:
        if self.unit != units - 1:
            raise InputError(
                f"the confidence is expected as the last of {units} exit values (index "
                f"{units - 1}), the policy reads index {self.unit}"
            )

    def device_call(self, units: int) -> DeviceCall:
        self.validate(units)
        return DeviceCall("trecx_exit_confidence", {}, (self.unit, self.limit))

    def to_manifest(self) -> dict:
        return {"kind": self.kind, "unit": self.unit, "limit": self.limit}


KINDS: dict[str, type[DevicePolicy]] = {
    cls.kind: cls for cls in (TopClassThresholds, TableSum, Margin, Confidence)
}


def from_manifest(entry: dict) -> DevicePolicy:
    """The policy that `to_manifest` described; InputError when its kind or fields are wrong."""
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if kind not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise InputError(f"unknown exit policy kind {kind!r}: known are {known}")
    fields = {k: v for k, v in entry.items() if k != "kind"}
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    try:
        return KINDS[kind](**fields)
    except TypeError as error:
        raise InputError(f"exit policy {kind!r} has wrong fields {sorted(fields)}") from error


def predicted_class(policy: DevicePolicy | None, q: np.ndarray) -> np.ndarray:
    """Class index, int64 (N,): first maximum of the class scores. policy None: all are scores."""
    classes = q.shape[1] if policy is None else policy.classes(q.shape[1])
    return np.argmax(q[:, :classes], axis=1)


def _require_range(name: str, values: tuple[int, ...], low: int, high: int) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InputError(
                f"{name} of an exit policy must be integers from {low} to {high}, got {value!r}"
            )
