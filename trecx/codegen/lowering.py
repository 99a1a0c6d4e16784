"""From operators to kernel calls: what a step is, and how a kernel is chosen for an operator.

A `KernelChoice` is one scheme for one kind of operator on one instruction set. The choices of an
instruction set are tried together with those of the reference; the cheapest that applies and
fits the weight policy wins.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from trecx.errors import UnsupportedModelError
from trecx.ir.graph import Operator, Tensor


class Isa(enum.Enum):
    """Kernel family; the value is the folder under deploy/kernels."""

    REF = "ref"
    DSP = "dsp"  # Armv7E-M and Armv8-M with the DSP extension
    MVE = "mve"  # Armv8.1-M with Helium


class Optimize(enum.Enum):
    """What to spend flash on.

    SIZE: least code and weights. BALANCED: weights stay at their int8 size (5 % slack for
    padding). SPEED: weights may be widened or transformed, up to `flash_budget` bytes.
    """

    SIZE = "size"
    BALANCED = "balanced"
    SPEED = "speed"


@dataclass(frozen=True)
class LoweringOptions:
    isa: Isa = Isa.REF
    optimize: Optimize = Optimize.BALANCED
    flash_budget: int | None = None  # bytes of packed weights for the whole model, SPEED only


@dataclass(frozen=True, eq=False)
class Blob:
    """A constant array in flash. ctype: element type in C, e.g. "int8_t"; values: 1-D integers."""

    ctype: str
    values: np.ndarray
    align: int = 4

    @property
    def nbytes(self) -> int:
        width = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2}.get(self.ctype, 4)
        return int(np.size(self.values)) * width

    @property
    def key(self) -> tuple[str, int, bytes]:
        """Equal for arrays that can be one in flash."""
        return self.ctype, self.align, np.asarray(self.values, np.int64).tobytes()


@dataclass(frozen=True, eq=False)
class Step:
    """One kernel call.

    kernel: C symbol. sources: files under deploy/kernels.
    header: file under deploy/include/trecx/kernels.
    params_type: C struct type; params: field name -> int, tuple of ints, Blob or None (NULL).
    inputs, outputs: activation tensors, in the order of the kernel's arguments.
    overlap: input position -> gap in bytes; the kernel is correct when the output begins at
        least that many bytes before that input, even if both overlap (0: in place).
    instructions: estimated instructions of one call; the choice is made by it.
    scheme: short name for the report.
    widened: weights take more than their int8 size, which only `speed` allows.
    """

    kernel: str
    sources: tuple[str, ...]
    header: str
    params_type: str
    params: dict[str, object]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    scratch_bytes: int = 0
    overlap: dict[int, int] = field(default_factory=dict)
    instructions: int = 0
    scheme: str = ""
    widened: bool = False

    @property
    def flash_bytes(self) -> int:
        """Bytes of constant arrays of this step (weights, biases, requantisation tables)."""
        return sum(v.nbytes for v in self.params.values() if isinstance(v, Blob))


class KernelChoice:
    """One scheme for one or more operator kinds on one instruction set. Stateless."""

    kinds: ClassVar[tuple[str, ...]]
    isa: ClassVar[Isa]
    scheme: ClassVar[str]

    def reason_against(self, op: Operator) -> str | None:
        """Why this scheme cannot compute `op` exactly; None when it can."""
        raise NotImplementedError

    def lower(self, op: Operator) -> list[Step]:
        """The steps that compute `op`. Called only when `reason_against` returned None."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Candidate:
    """A scheme that was considered for an operator: its cost, or why it was not possible."""

    isa: Isa
    scheme: str
    steps: list[Step] | None
    rejected: str | None = None

    @property
    def instructions(self) -> int:
        return sum(s.instructions for s in self.steps or ())

    @property
    def flash_bytes(self) -> int:
        return sum(s.flash_bytes for s in self.steps or ())

    @property
    def widened(self) -> bool:
        return any(s.widened for s in self.steps or ())


@dataclass(eq=False)
class Lowered:
    """An operator with the chosen steps and all candidates (for the report)."""

    operator: Operator
    chosen: Candidate
    candidates: list[Candidate]

    @property
    def steps(self) -> list[Step]:
        return self.chosen.steps


REGISTRY: list[KernelChoice] = []


def register(choice: type[KernelChoice]) -> type[KernelChoice]:
    """Class decorator: add a scheme to the registry."""
    REGISTRY.append(choice())
    return choice


def candidates(op: Operator, isa: Isa) -> list[Candidate]:
    """Every registered scheme for `op` on `isa` and on the reference, cheapest first."""
    import trecx.codegen.kernels  # noqa: F401  (fills the registry)

    found = []
    for choice in REGISTRY:
        if op.kind not in choice.kinds or choice.isa not in (isa, Isa.REF):
            continue
        reason = choice.reason_against(op)
        steps = choice.lower(op) if reason is None else None
        found.append(Candidate(choice.isa, choice.scheme, steps, reason))
    return sorted(found, key=lambda c: (c.steps is None, c.instructions))


def require_possible(op: Operator, found: list[Candidate]) -> list[Candidate]:
    """The candidates that can compute `op`; UnsupportedModelError when there is none."""
    possible = [c for c in found if c.steps is not None]
    if not possible:
        reasons = "; ".join(sorted({f"{c.scheme}: {c.rejected}" for c in found}))
        raise UnsupportedModelError(
            f"operator {op.kind} (index {op.index}, output {op.output.name!r}) has no kernel"
            + (f": {reasons}" if reasons else "")
        )
    return possible
