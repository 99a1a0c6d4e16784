"""What the Helium lowerings share: preconditions, folded biases, packed filter records."""

from __future__ import annotations

import numpy as np

from trecx.codegen.constraints import broken_rule
from trecx.codegen.kernels.common import folded_bias, requantisation
from trecx.codegen.lowering import Isa, KernelChoice
from trecx.ir.graph import Operator
from trecx.ir.quantize import activation_range

LANES = 16  # int8 values in a vector


def round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


class MveChoice(KernelChoice):
    """A Helium scheme. Subclasses implement `misfit` for operators that keep all rules."""

    isa = Isa.MVE

    def reason_against(self, op: Operator) -> str | None:
        return broken_rule(op) or self.misfit(op)

    def misfit(self, op: Operator) -> str | None:
        """Why the scheme does not fit the operator; None when it does."""
        raise NotImplementedError


def left_shift(op: Operator) -> str | None:
    """Why the Helium epilogue (trecx/mve_arith.h) cannot requantise `op`; None when it can."""
    multiplier, shift = requantisation(op)
    left = np.flatnonzero((shift >= 0) & (multiplier != 0))
    if not left.size:
        return None
    return (
        f"the requantisation factor of output channel {left[0]} is not below one half; "
        "the vector epilogue takes right shifts only"
    )


def right_shift_requantisation(op: Operator) -> tuple[np.ndarray, np.ndarray]:
    """(multipliers, shifts), shifts from -31 to -1; a zero multiplier gets shift -1."""
    multiplier, shift = requantisation(op)
    return multiplier, np.where(multiplier == 0, -1, shift).astype(np.int32)


def corrects_ties(op: Operator) -> bool:
    """Whether negative values below the output's zero point can survive the activation."""
    return activation_range(op.attrs.activation, op.output.quant)[0] < op.output.zero_point


def clamp_instructions(op: Operator) -> int:
    """Cost of trecx_mve_clamp: only activations that cut the int8 range need it."""
    if activation_range(op.attrs.activation, op.output.quant) == (-128, 127):
        return 4
    return 8 * -(-op.output.size // LANES)


def zero_point_fields(op: Operator) -> dict[str, int]:
    low, high = activation_range(op.attrs.activation, op.output.quant)
    return {
        "input_zero_point": op.inputs[0].zero_point,
        "output_zero_point": op.output.zero_point,
        "activation_min": low,
        "activation_max": high,
    }


def grouped_filters(vectors: np.ndarray, group: int, groups: int | None = None):
    """Filters in groups; what is not filled repeats the last filter.

    Args:
        vectors: int8, shape (filters, vectors of a filter, 16).
        groups: how many; as many as the filters need if not given.

    Returns:
        (weights, filters): int8 rows of each group's weights, vector by vector, the filters of the
        group in turn; and the numbers of each group's filters.
    """
    slots = group * (groups or -(-len(vectors) // group))
    filters = np.minimum(np.arange(slots), len(vectors) - 1)
    grouped = vectors[filters].reshape(-1, group, *vectors.shape[1:])
    return grouped.swapaxes(1, 2).reshape(len(grouped), -1), filters.reshape(-1, group)


def requantisation_words(op: Operator, filters: np.ndarray) -> np.ndarray:
    """Rows of bytes: bias, multiplier and shift of each filter of each group, as words."""
    multiplier, shift = right_shift_requantisation(op)
    values = np.stack([folded_bias(op), multiplier, shift], axis=1)
    return words(values[filters].reshape(len(filters), -1))


def requantisation_bytes(op: Operator, filters: np.ndarray) -> np.ndarray:
    """Rows of bytes: bias and multiplier of each filter of each group as words, then the shifts.

    Filled up to whole words.
    """
    multiplier, shift = right_shift_requantisation(op)
    values = np.stack([folded_bias(op), multiplier], axis=1)
    shifts = np.pad(shift[filters].astype(np.int8), ((0, 0), (0, -filters.shape[1] % 4)))
    return np.concatenate([words(values[filters].reshape(len(filters), -1)), shifts], axis=1)


def words(values: np.ndarray) -> np.ndarray:
    """Rows of int32 values as rows of little-endian bytes."""
    rows = np.ascontiguousarray(values, "<i4")
    return rows.view(np.int8).reshape(len(rows), -1)
