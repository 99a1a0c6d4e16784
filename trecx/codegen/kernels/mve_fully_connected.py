"""FULLY_CONNECTED on Helium."""

from __future__ import annotations

import numpy as np

from trecx.codegen.kernels.common import folded_bias
from trecx.codegen.kernels.mve_common import (
    LANES,
    MveChoice,
    clamp_instructions,
    corrects_ties,
    left_shift,
    right_shift_requantisation,
    round_up,
    words,
    zero_point_fields,
)
from trecx.codegen.kernels.ref_fully_connected import dense_fields
from trecx.codegen.lowering import Blob, Step, register
from trecx.ir.graph import Operator

UNITS = 8  # of a group
FEWEST_UNITS = 4
RESIDENT = 5  # input vectors that stay in registers
WORK_BYTES = 44  # sizeof(dense) in mve/fully_connected_s8.c
EVEN_THEN_ODD = [0, 2, 4, 6, 1, 3, 5, 7]  # order of the units in the two accumulator vectors


@register
class MveFullyConnected(MveChoice):
    """Eight units at a time; see mve/fully_connected_s8.c."""

    kinds = ("FULLY_CONNECTED",)
    scheme = "eight units"

    def misfit(self, op: Operator) -> str | None:
        units = op.inputs[1].shape[0]
        if units < FEWEST_UNITS:
            return f"only {units} units: most of a group's weights would be padding"
        return left_shift(op)

    def lower(self, op: Operator) -> list[Step]:
        source = op.inputs[0]
        units, inputs = op.inputs[1].shape
        multiplier, shift = right_shift_requantisation(op)
        per_channel = not (np.all(multiplier == multiplier[0]) and np.all(shift == shift[0]))
        vectors = -(-inputs // LANES)
        streamed = max(0, vectors - RESIDENT)
        copied = inputs % LANES or vectors < 4
        params = {
            "rows": op.output.size // units,
            "inputs": inputs,
            "units": units,
            "multiplier": 0 if per_channel else int(multiplier[0]),
            "shift": 0 if per_channel else int(shift[0]),
            "passes": -(-streamed // 4) - 1,
            "skipped": -streamed % 4 if streamed else RESIDENT - vectors,
            "copy_at": WORK_BYTES + LANES * max(0, 4 - vectors) if copied else 0,
            **{k: v for k, v in zero_point_fields(op).items() if k != "input_zero_point"},
            "packed": Blob("int8_t", packed_units(op, per_channel), align=8),
        }
        kernel = "trecx_fully_connected_s8_mve"
        kernel += ("_per_channel" if per_channel else "") + ("" if corrects_ties(op) else "_relu")
        return [
            Step(
                kernel=kernel,
                sources=("mve/fully_connected_s8.c",),
                header="fully_connected_s8_mve.h",
                params_type="trecx_fully_connected_s8_mve_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                scratch_bytes=WORK_BYTES + (LANES * max(4, vectors) if copied else 0),
                instructions=self._instructions(op, vectors, per_channel),
                scheme=self.scheme,
            )
        ]

    @staticmethod
    def _instructions(op: Operator, vectors: int, per_channel: bool) -> int:
        units = op.inputs[1].shape[0]
        streamed = max(0, vectors - RESIDENT)
        group = 16 * vectors + streamed + 2 * max(0, -(-streamed // 4) - 1) + 19
        group += (4 if per_channel else 0) + (2 if corrects_ties(op) else 0)
        row = -(-units // UNITS) * group + 40 + 3 * vectors
        return op.output.size // units * row + 60 + clamp_instructions(op)


@register
class MveFullyConnectedUnits(MveChoice):
    """One unit at a time, weights as they are; see mve/fully_connected_s8_units.c."""

    kinds = ("FULLY_CONNECTED",)
    scheme = "single units"

    def misfit(self, op: Operator) -> str | None:
        return None

    def lower(self, op: Operator) -> list[Step]:
        vectors = -(-op.inputs[1].shape[1] // LANES)
        return [
            Step(
                kernel="trecx_fully_connected_s8_mve_units",
                sources=("mve/fully_connected_s8_units.c",),
                header="fully_connected_s8_mve.h",
                params_type="trecx_fully_connected_s8_params",
                params=dense_fields(op),
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                instructions=op.output.size * (4 * vectors + 45) + 40,
                scheme=self.scheme,
            )
        ]


def packed_units(op: Operator, per_channel: bool) -> np.ndarray:
    """Records of eight units each, as the header states them: int8."""
    weights = op.inputs[1].data
    units, inputs = weights.shape
    slots = np.minimum(np.arange(round_up(units, UNITS)), units - 1)
    filled = np.pad(weights, ((0, 0), (0, -inputs % LANES)))[slots]
    vectors = filled.reshape(-1, UNITS, filled.shape[1] // LANES, LANES).swapaxes(1, 2)
    biases = folded_bias(op)[slots].reshape(-1, UNITS)
    parts = [words(biases), vectors.reshape(len(vectors), -1)]
    if per_channel:
        for values in right_shift_requantisation(op):
            parts.append(words(values[slots].reshape(-1, UNITS)[:, EVEN_THEN_ODD]))
    return np.concatenate(parts, axis=1).reshape(-1)
