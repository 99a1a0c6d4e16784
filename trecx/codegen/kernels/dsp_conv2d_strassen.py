"""CONV_2D 1x1 by Strassen's algorithm: seven products of half the channels instead of eight."""

from __future__ import annotations

import numpy as np

from trecx.codegen.kernels.common import activation_fields
from trecx.codegen.kernels.dsp_channels import Channels, pack_channels
from trecx.codegen.kernels.dsp_common import INT16_LIMIT
from trecx.codegen.kernels.dsp_conv2d import pointwise_overlap, pointwise_reason
from trecx.codegen.kernels.dsp_conv2d_wide import group_words, shifted_layer
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator

MOST_CHANNELS = 128  # 8 * TRECX_STRASSEN_MOST_GROUPS
LARGEST_D = 5  # so that sums of four weights fit 16 bits
VARIANTS = {12: "", 11: "_11"}  # E: end of the kernel's name
# Instructions measured on an emulated Cortex-M4.
GROUP, FOUR_FILTERS, TRANSFORM, TILE = 70, 97, 84, 90


@register
class DspConv2D1x1Strassen(KernelChoice):
    kinds = ("CONV_2D",)
    isa = Isa.DSP
    scheme = "Strassen, 1x1"

    def reason_against(self, op: Operator) -> str | None:
        if reason := pointwise_reason(op):
            return reason
        channels = op.inputs[0].shape[3]
        if channels % 8 or channels > MOST_CHANNELS:
            return f"{channels} input channels; multiples of 8 up to {MOST_CHANNELS} are possible"
        if op.output.shape[3] % 4:
            return "output channels are not a multiple of 4"
        return None if _fast_shift(op) else "the requantisation has no fast form"

    def lower(self, op: Operator) -> list[Step]:
        channels, out_channels = op.inputs[0].shape[3], op.output.shape[3]
        pixels, groups = op.output.size // out_channels, channels // 8
        tiles = -(-pixels // 4)
        name = "conv2d_1x1_s8_strassen" + VARIANTS[_fast_shift(op)]
        filters = out_channels // 4 * (GROUP * groups + FOUR_FILTERS)
        return [
            Step(
                kernel=f"trecx_{name}",
                sources=(f"dsp/{name}.c",),
                header="conv2d_s8_dsp.h",
                params_type="trecx_conv2d_1x1_s8_strassen_params",
                params={
                    "weights": Blob("uint32_t", _stream(op)),
                    "pixels": pixels,
                    "groups": groups,
                    "channels": out_channels,
                    **activation_fields(op),
                },
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                scratch_bytes=7 * (16 * groups + 4),
                overlap={0: pointwise_overlap(op, (pixels - 1) % 4 + 1)},
                instructions=tiles * (filters + TRANSFORM * groups + TILE) + 200,
                scheme=self.scheme,
                widened=True,
            )
        ]


def _fast_shift(op: Operator) -> int:
    """E of the variant with the fewest exceptions; 0 where none has the fast form."""
    packed = {e: pack_channels(op, e, LARGEST_D) for e in VARIANTS}
    fast = {
        e: len(c.exceptions)
        for e, c in packed.items()
        if isinstance(c, Channels) and c.form.fast_shift
    }
    return min(fast, key=fast.__getitem__, default=0)


def _stream(op: Operator) -> np.ndarray:
    """The weights of trecx_conv2d_1x1_s8_strassen_params, unsigned words."""
    layer = shifted_layer(op, LARGEST_D, _fast_shift(op))
    fours = len(layer.biases) // 4
    weights = layer.weights.reshape(fours, 2, 2, 2, -1)  # [fours][pair][filter][half][inputs]
    b11, b21, b12, b22 = (weights[:, pair, :, half] for pair in (0, 1) for half in (0, 1))
    t1, t3 = b12 - b11, b22 - b12
    t2 = b22 - t1
    t4 = t2 - b21
    biases = layer.biases.reshape(fours, 2, 2)
    first, second = biases[:, 0], biases[:, 1]
    constants = layer.requantisation.reshape(fours, 2, 4)
    stream = [
        *(first, _words(b11), _words(b21), constants[:, 0]),
        *(_words(t2), _words(t3), _words(-t4), constants[:, 0]),
        *(second - first, _words(t1), _words(b22), constants[:, 1]),
    ]
    return np.concatenate(stream, axis=1).reshape(-1) & 0xFFFFFFFF


def _words(pairs: np.ndarray) -> np.ndarray:
    """Words (fours, ...) of int64 weights (fours, 2 filters, inputs)."""
    assert -INT16_LIMIT <= pairs.min() <= pairs.max() < INT16_LIMIT
    return group_words(pairs.reshape(-1, pairs.shape[2]))
