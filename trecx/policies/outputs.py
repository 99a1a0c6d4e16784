"""What calibration and evaluation work on: the int8 outputs of a chain of exits, and its costs."""

from __future__ import annotations

import enum
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trecx.errors import InputError
from trecx.files import read_arrays, write_atomic
from trecx.policies.device import DevicePolicy
from trecx.policies.rules import SOFTMAX_SCALE, SOFTMAX_ZERO_POINT


class SplitRole(enum.Enum):
    """What a set of samples may be used for. Carried with the data, so that it can be enforced."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    TEST = "test"


@dataclass(frozen=True, eq=False)
class ChainOutputs:
    """The int8 outputs of every segment of a chain for the same N samples.

    outputs: one array (N, units) a segment; the last is the final output, whose units are the
        classes. An exit output starts with the class scores (a learned confidence may follow).
    labels: true classes, int (N,).
    split: what the samples may be used for.
    quants: (scale, zero point) of each output; None: all are int8 softmax (1/256, -128).
    base: output (N, classes) of the base model without exits for the same samples, optional.
    """

    outputs: tuple[np.ndarray, ...]
    labels: np.ndarray
    split: SplitRole
    quants: tuple[tuple[float, int], ...] | None = None
    base: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not self.outputs:
            raise InputError("a chain needs at least one output, got none")
        for k, q in enumerate(self.outputs):
            if q.ndim != 2 or q.dtype != np.int8 or len(q) != len(self.labels):
                raise InputError(
                    f"output {k} must be int8 of shape (samples, units) with {len(self.labels)} "
                    f"samples, got {q.dtype} {q.shape}"
                )
            if q.shape[1] < self.classes:
                raise InputError(
                    f"exit output {k} has {q.shape[1]} values, fewer than the "
                    f"{self.classes} classes"
                )
        if len(self.labels) == 0:
            raise InputError("no samples: at least one is needed")
        if self.base is not None and self.base.shape != self.outputs[-1].shape:
            raise InputError(
                f"the base model's output must be {self.outputs[-1].shape}, got {self.base.shape}"
            )

    @property
    def samples(self) -> int:
        return len(self.labels)

    @property
    def exits(self) -> int:
        """Number of early exits."""
        return len(self.outputs) - 1

    @property
    def classes(self) -> int:
        return self.outputs[-1].shape[1]

    def quant(self, k: int) -> tuple[float, int]:
        """(scale, zero point) of output k."""
        return self.quants[k] if self.quants else (SOFTMAX_SCALE, SOFTMAX_ZERO_POINT)

    def correct(self) -> np.ndarray:
        """Whether segment k's answer is right for each sample, bool (segments, N)."""
        answers = [np.argmax(q[:, : self.classes], axis=1) for q in self.outputs]
        return np.stack(answers) == self.labels

    def base_correct(self) -> np.ndarray:
        """Whether the base model's answer is right, bool (N,); InputError when it was not given."""
        if self.base is None:
            raise InputError("the base model's outputs are needed for this comparison: pass base=")
        return np.argmax(self.base, axis=1) == self.labels

    def save(self, path: Path) -> None:
        """Write as .npz, the split's role included."""
        arrays = {f"output{k}": q for k, q in enumerate(self.outputs)}
        if self.base is not None:
            arrays["base"] = self.base
        quants = [self.quant(k) for k in range(len(self.outputs))]
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            labels=self.labels,
            split=np.array(self.split.value),
            quants=np.array(quants, np.float64),
            **arrays,
        )
        write_atomic(path, buffer.getvalue())

    @staticmethod
    def load(path: Path) -> ChainOutputs:
        """Read what `save` wrote; InputError for any other file."""
        try:
            stored = read_arrays(path)
            return ChainOutputs(
                tuple(stored[f"output{k}"] for k in range(len(stored["quants"]))),
                stored["labels"],
                SplitRole(str(stored["split"])),
                tuple((float(s), int(z)) for s, z in stored["quants"]),
                stored.get("base"),
            )
        except (KeyError, ValueError) as error:
            raise InputError(f"{path} cannot be read as saved exit outputs: {error}") from error

    def subset(self, rows: np.ndarray) -> ChainOutputs:
        """The samples with the given indices (or mask)."""
        return ChainOutputs(
            tuple(q[rows] for q in self.outputs),
            self.labels[rows],
            self.split,
            self.quants,
            None if self.base is None else self.base[rows],
        )


@dataclass(frozen=True)
class PathCosts:
    """Cost of one inference that stops at segment k, for every k; increasing.

    unit: "MACs", "FLOPs" or "instructions". base: cost of the model without exits, if known;
    reductions are relative to it, and to the full depth otherwise.
    """

    stop: tuple[float, ...]
    unit: str = "MACs"
    base: float | None = None

    def __post_init__(self) -> None:
        if list(self.stop) != sorted(self.stop) or not self.stop or self.stop[0] <= 0:
            raise InputError(f"path costs must be positive and increasing, got {self.stop}")

    @staticmethod
    def from_segments(
        segments: tuple[float, ...], unit: str = "MACs", base: float | None = None
    ) -> PathCosts:
        """From the cost of each segment alone."""
        return PathCosts(tuple(float(c) for c in np.cumsum(segments)), unit, base)

    @property
    def reference(self) -> float:
        """What reductions are relative to."""
        return self.stop[-1] if self.base is None else self.base


def stop_segments(policies: tuple[DevicePolicy, ...], data: ChainOutputs) -> np.ndarray:
    """Segment at which each sample stops, int64 (N,): the first whose policy says so, or the last.

    policies: one for each early exit. InputError when their number or form does not fit.
    """
    if len(policies) != data.exits:
        raise InputError(f"{data.exits} early exits need as many policies, got {len(policies)}")
    stops = np.full(data.samples, data.exits)
    for k in reversed(range(data.exits)):
        policies[k].validate(data.outputs[k].shape[1])
        stops[policies[k].decide(data.outputs[k])] = k
    return stops
