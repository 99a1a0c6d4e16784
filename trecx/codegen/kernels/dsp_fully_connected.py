"""FULLY_CONNECTED on the DSP extension, weights at int8 size: units in byte pairs."""

from __future__ import annotations

import numpy as np

from trecx.codegen.constraints import broken_rule
from trecx.codegen.kernels.common import activation_fields, requantisation
from trecx.codegen.kernels.dsp_bytepair import (
    bytepair_reason,
    groups_of,
    halfword_reason,
    pair_words,
)
from trecx.codegen.kernels.dsp_channels import Form, keeps_negatives
from trecx.codegen.kernels.dsp_common import dot_range, folded_bias
from trecx.codegen.kernels.dsp_conv2d import Window, conv2d_step
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator
from trecx.ir.ops import macs

UNITS_AT_ONCE = 6
# Below, a dense layer is computed as a 1x1 convolution, whose code is there already.
SMALL_LAYER = 1000  # multiply-accumulates
LARGEST_RIGHT_SHIFT = 21
ACCUMULATOR_LIMIT = 1 << 23  # so that the bias fits 27 bits, too
WIDEN_LIMIT = 256  # inputs; more would cost much scratch memory
WORTH_WIDENING = 2048  # multiply-accumulates
# Instructions measured on an emulated Cortex-M4.
GROUP, WIDENED_GROUP, BLOCK, WIDEN = 24, 21.5, 145, 8
PAIR_GROUP, PAIR = 14, 70
WIDE_WORDS, WIDE_BYTES, WIDE_BLOCK = 16.4, 18.4, 72
WIDE_FAST_SHIFT = 12  # TRECX_DENSE_WIDE_FAST_SHIFT


@register
class DspFullyConnectedBytepair(KernelChoice):
    kinds = ("FULLY_CONNECTED",)
    isa = Isa.DSP
    scheme = "byte pairs, dense"

    def reason_against(self, op: Operator) -> str | None:
        if reason := broken_rule(op) or halfword_reason(op):
            return reason
        if is_small(op):
            return "so small that it shares the code of a convolution"
        return _range_reason(op)

    def lower(self, op: Operator) -> list[Step]:
        units, inputs = op.inputs[1].shape
        rows = op.output.size // units
        multipliers, shift = requantisation(op)
        one_multiplier = len(np.unique(np.stack([multipliers, shift]), axis=1)[0]) == 1
        padding = (0, units % 2)
        bias_shift = 32 * folded_bias(op) - shift - 1
        widen = inputs % 4 == 0 and inputs <= WIDEN_LIMIT
        params = {
            "weights": _dense_weights(op.inputs[1].data),
            "bias_shift": Blob("int32_t", np.pad(bias_shift, padding)),
            "multiplier": Blob(
                "int32_t", multipliers[:1] if one_multiplier else np.pad(multipliers, padding)
            ),
            "rows": rows,
            "inputs": inputs,
            "units": units,
            "one_multiplier": int(one_multiplier),
            "widen": int(widen),
            "output_zero_point": op.output.zero_point,
            **activation_fields(op),
        }
        groups = groups_of(inputs)
        blocks, left = divmod(units, UNITS_AT_ONCE)
        instructions = blocks * (BLOCK + groups * (WIDENED_GROUP if widen else GROUP))
        instructions += (left + 1) // 2 * (PAIR + groups * PAIR_GROUP) + widen * WIDEN * groups
        return [
            Step(
                kernel="trecx_fully_connected_s8_bytepair",
                sources=("dsp/fully_connected_s8_bytepair.c",),
                header="fully_connected_s8_dsp.h",
                params_type="trecx_fully_connected_s8_bytepair_params",
                params=params,
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                scratch_bytes=2 * inputs if widen else 0,
                instructions=int(rows * (instructions + 60)),
                scheme=self.scheme,
            )
        ]


def is_small(op: Operator) -> bool:
    return macs(op) < SMALL_LAYER and op.output.shape[-1] > 1


@register
class DspFullyConnectedAsConv2D(KernelChoice):
    """Rows are pixels, units are channels."""

    kinds = ("FULLY_CONNECTED",)
    isa = Isa.DSP
    scheme = "byte pairs, as 1x1"

    def reason_against(self, op: Operator) -> str | None:
        if reason := broken_rule(op):
            return reason
        if not is_small(op):
            return "large enough for a dense kernel"
        return bytepair_reason(op)

    def lower(self, op: Operator) -> list[Step]:
        units, inputs = op.inputs[1].shape
        return [
            conv2d_step(
                op,
                Window(
                    input_shape=(1, op.output.size // units, inputs),
                    output_shape=(1, op.output.size // units, units),
                    kernel=(1, 1),
                ),
                overlap=None,
                scheme=self.scheme,
            )
        ]


def _range_reason(op: Operator) -> str | None:
    """Why a bias, shift or sum does not fit; None when all do."""
    _, shift = requantisation(op)
    if not 1 <= -shift.max() <= -shift.min() <= LARGEST_RIGHT_SHIFT:
        return f"right shifts from {-shift.max()} to {-shift.min()}; 1 to {LARGEST_RIGHT_SHIFT} fit"
    bias, (low, high) = folded_bias(op), dot_range(op)
    largest = int(max(-(low + bias).min(), (high + bias).max()))
    if largest >= ACCUMULATOR_LIMIT:
        return f"a sum can reach {largest}; the limit is {ACCUMULATOR_LIMIT}"
    return None


def _dense_weights(weights: np.ndarray) -> Blob:
    """Words of byte pairs, from int8 (units, inputs).

    First [unit / 6][group][2][pair], then for the pairs that are left [pair][group][2].
    """
    padded = np.pad(weights, ((0, len(weights) % 2), (0, 0)))
    words = pair_words(padded[0::2], padded[1::2])
    words = words.reshape(len(words), -1)
    pairs = UNITS_AT_ONCE // 2
    whole = len(weights) // UNITS_AT_ONCE * pairs
    blocks = words[:whole].reshape(-1, pairs, words.shape[1]).transpose(0, 2, 1)
    return Blob("uint32_t", np.concatenate([blocks.reshape(-1), words[whole:].reshape(-1)]))


@register
class DspFullyConnectedWide(KernelChoice):
    """Weights of 16 bits, already shifted as the requantisation wants them."""

    kinds = ("FULLY_CONNECTED",)
    isa = Isa.DSP
    scheme = "16-bit weights, dense"

    def reason_against(self, op: Operator) -> str | None:
        if reason := broken_rule(op):
            return reason
        if is_small(op):
            return "so small that it shares the code of a convolution"
        if op.inputs[1].shape[1] % 4:
            return "inputs are not a multiple of 4"
        if macs(op) < WORTH_WIDENING:
            return "so small that wide weights are not worth another kernel"
        multipliers, shift = requantisation(op)
        if len(np.unique(np.stack([multipliers, shift]), axis=1)[0]) != 1:
            return "units have different multipliers"
        if not multipliers[0]:
            return "a multiplier of zero"
        return _range_reason(op)

    def lower(self, op: Operator) -> list[Step]:
        units, inputs = op.inputs[1].shape
        rows = op.output.size // units
        multipliers, shift = requantisation(op)
        form, requant_shift = self._form(op, int(-shift[0]))
        left = requant_shift + 1 if form.fast_shift else 1
        padding = (0, -units % UNITS_AT_ONCE)
        widen = inputs <= WIDEN_LIMIT
        params = {
            "weights": _wide_weights(op.inputs[1].data.astype(np.int64) << left),
            "bias": Blob("int32_t", np.pad(folded_bias(op) << left, padding)),
            "multiplier": int(multipliers[0]),
            "offset": form.offset(op.output.zero_point, requant_shift),
            "shift": requant_shift,
            "rows": rows,
            "inputs": inputs,
            "units": units,
            "fast": int(form.fast_shift > 0),
            "widen": int(widen),
            **activation_fields(op),
        }
        groups = inputs // 4
        block = WIDE_BLOCK + groups * (WIDE_WORDS if widen else WIDE_BYTES)
        instructions = -(-units // UNITS_AT_ONCE) * block + widen * WIDEN * groups
        return [
            Step(
                kernel="trecx_fully_connected_s8_wide",
                sources=("dsp/fully_connected_s8_wide.c",),
                header="fully_connected_s8_dsp.h",
                params_type="trecx_fully_connected_s8_wide_params",
                params=params,
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                scratch_bytes=2 * inputs if widen else 0,
                instructions=int(rows * (instructions + 60)),
                scheme=self.scheme,
            )
        ]

    def _form(self, op: Operator, right: int) -> tuple[Form, int]:
        """The requantisation's form and its shift, for a right shift of e."""
        fast = Form(WIDE_FAST_SHIFT)
        if not keeps_negatives(op) and fast.allows(fast.shift_of(right)):
            return fast, fast.shift_of(right)
        return Form(0), Form(0).shift_of(right)


def _wide_weights(weights: np.ndarray) -> Blob:
    """Words [unit / 6][input / 4][2][6 units], from 16-bit weights (units, inputs)."""
    padded = np.pad(weights, ((0, -len(weights) % UNITS_AT_ONCE), (0, 0))) & 0xFFFF
    lanes = padded.reshape(-1, UNITS_AT_ONCE, padded.shape[1] // 4, 4)
    words = np.stack([lanes[..., 0] | lanes[..., 2] << 16, lanes[..., 1] | lanes[..., 3] << 16], -1)
    return Blob("uint32_t", words.transpose(0, 2, 3, 1).reshape(-1))
