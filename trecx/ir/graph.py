"""The intermediate representation: a graph of quantised tensors and operators.

Names and layouts are TFLite's: activations NHWC with batch 1, CONV_2D weights OHWI,
DEPTHWISE_CONV_2D weights 1HWO, FULLY_CONNECTED weights OI.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field

import numpy as np


class DType(enum.Enum):
    """Element type of a tensor; the value is the NumPy name."""

    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    BOOL = "bool"

    @property
    def numpy(self) -> np.dtype:
        return np.dtype(self.value)

    @property
    def itemsize(self) -> int:
        return self.numpy.itemsize


@dataclass(frozen=True, eq=False)
class QuantParams:
    """Affine quantisation: real = scale * (q - zero_point).

    scale: float32 array of shape (1,) or (channels,).
    zero_point: int32 array of the same shape.
    axis: the channel dimension when per channel; 0 otherwise.
    """

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int = 0

    @staticmethod
    def per_tensor(scale: float, zero_point: int) -> QuantParams:
        return QuantParams(np.array([scale], np.float32), np.array([zero_point], np.int32))

    @property
    def is_per_tensor(self) -> bool:
        return self.scale.size == 1

    def same_as(self, other: QuantParams | None) -> bool:
        return (
            other is not None
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )


@dataclass(eq=False)
class Tensor:
    """A value in the graph; `data` is None for activations. Compared by identity."""

    name: str
    shape: tuple[int, ...]
    dtype: DType
    quant: QuantParams | None = None
    data: np.ndarray | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def label(self) -> str:
        """A short name for people. The converter joins the names of all fused layers with ';' and
        puts the model's name before each: the last two parts of the first are kept."""
        return "/".join(self.name.split(";")[0].split("/")[-2:])

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    @property
    def scale(self) -> float:
        """Per-tensor scale. As a Python float of the stored float32."""
        return float(self.quant.scale[0])

    @property
    def zero_point(self) -> int:
        return int(self.quant.zero_point[0])

    def __repr__(self) -> str:
        return f"Tensor({self.name!r}, {self.shape}, {self.dtype.value})"


@dataclass(eq=False)
class Operator:
    """One operator. `inputs` may hold None for an absent optional input.

    attrs: a frozen dataclass of trecx.ir.ops, or None.
    index: position in the model file, for messages; -1 for operators made by a pass.
    """

    kind: str
    inputs: list[Tensor | None]
    outputs: list[Tensor]
    attrs: object = None
    index: int = -1

    @property
    def output(self) -> Tensor:
        return self.outputs[0]

    @property
    def activation_inputs(self) -> list[Tensor]:
        return [t for t in self.inputs if t is not None and not t.is_constant]

    def __repr__(self) -> str:
        return f"Operator({self.kind} #{self.index} -> {self.outputs[0].name!r})"


@dataclass(eq=False)
class Graph:
    """A straight-line program: operators in execution order."""

    name: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    operators: list[Operator] = field(default_factory=list)

    def producer(self, tensor: Tensor) -> Operator | None:
        return next((op for op in self.operators if tensor in op.outputs), None)

    def consumers(self, tensor: Tensor) -> list[Operator]:
        return [op for op in self.operators if tensor in op.inputs]

    def activations(self) -> list[Tensor]:
        """All non-constant tensors, each once, in order of first appearance."""
        seen: dict[int, Tensor] = {}
        for t in self.inputs:
            seen.setdefault(id(t), t)
        for op in self.operators:
            for t in [*op.activation_inputs, *op.outputs]:
                seen.setdefault(id(t), t)
        return list(seen.values())
