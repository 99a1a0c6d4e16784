"""DEPTHWISE_CONV_2D on the DSP extension: kernels up to 3x3, channels spread out strip by strip."""

from __future__ import annotations

import numpy as np

from trecx.codegen.constraints import broken_rule
from trecx.codegen.kernels.common import activation_fields
from trecx.codegen.kernels.dsp_channels import Channels, pack_channels
from trecx.codegen.kernels.dsp_common import INT16_LIMIT
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator

FAST_SHIFT = 10  # TRECX_DEPTHWISE_FAST_SHIFT
ENTRY_BYTES = 40  # sizeof(trecx_depthwise_entry)
STRIP_OUTPUTS = 6
STRIP_WORDS = {1: 4, 2: 7}  # by stride
# Instructions measured on an emulated Cortex-M4.
ROW = {1: 55, 2: 43}
OUTPUT = 3
SPREAD_WORD, KEEP_WORD = 19, 20
RUN, STRIP, CHANNEL = 55, 150, 75


@register
class DspDepthwise3x3(KernelChoice):
    kinds = ("DEPTHWISE_CONV_2D",)
    isa = Isa.DSP
    scheme = "spread strips, 3x3"
    widened = False
    per_channel = CHANNEL

    def reason_against(self, op: Operator) -> str | None:
        if broken := broken_rule(op):
            return broken
        _, kernel_height, kernel_width, _ = op.inputs[1].shape
        channels = op.inputs[0].shape[3]
        if op.attrs.dilation != (1, 1):
            return "dilation"
        if op.attrs.depth_multiplier != 1:
            return "a depth multiplier"
        if max(kernel_height, kernel_width) > 3:
            return f"a kernel of {kernel_height}x{kernel_width}; 3x3 is the largest"
        if op.attrs.stride not in ((1, 1), (2, 2)):
            return f"strides {op.attrs.stride}; 1 or 2 in both directions are possible"
        if channels < 4:
            return "fewer than 4 channels"
        if max(*op.inputs[0].shape, *op.output.shape) >= INT16_LIMIT:
            return "a dimension does not fit 16 bits"
        packed = pack_channels(op, FAST_SHIFT)
        return packed if isinstance(packed, str) else None

    def lower(self, op: Operator) -> list[Step]:
        source = op.inputs[0]
        _, height, width, channels = source.shape
        _, out_height, out_width, _ = op.output.shape
        stride = op.attrs.stride[0]
        constants = pack_channels(op, FAST_SHIFT)
        assert isinstance(constants, Channels), constants
        params = {
            **self._channel_fields(op, constants),
            "input_height": height,
            "input_width": width,
            "output_height": out_height,
            "output_width": out_width,
            "channels": channels,
            "pad_top": op.attrs.padding.top,
            "pad_left": op.attrs.padding.left,
            "input_zero_point": source.zero_point,
            **activation_fields(op),
        }
        rows = (out_height - 1) * stride + 3
        kernel = f"depthwise_conv2d_s8_3x3{_variant(stride, out_width)}"
        in_place = source.shape == op.output.shape and stride == 1 and op.attrs.padding.left <= 2
        return [
            Step(
                kernel=f"trecx_{kernel}",
                sources=(f"dsp/{kernel}.c", "dsp/depthwise.c", "dsp/channels.c"),
                header="depthwise_conv2d_s8_dsp.h",
                params_type="trecx_depthwise_conv2d_s8_3x3_params",
                params=params,
                inputs=(source,),
                outputs=(op.output,),
                scratch_bytes=16 * rows * STRIP_WORDS[stride] + 4 * ENTRY_BYTES + 8,
                overlap={0: 0} if in_place else {},
                instructions=self._instructions(op, params, rows),
                scheme=self.scheme,
                widened=self.widened,
            )
        ]

    def _channel_fields(self, op: Operator, constants: Channels) -> dict[str, object]:
        return {
            "weights": Blob("int8_t", _nine_taps(constants.weights(op)).reshape(-1), align=1),
            "entries": None,
            **constants.fields("constants"),
        }

    def _instructions(self, op: Operator, params: dict, rows: int) -> int:
        _, height, width, channels = op.output.shape
        stride = op.attrs.stride[0]
        strips = -(-width // STRIP_OUTPUTS)
        per_output = OUTPUT + (0 if params["constants.fast_shift"] else 2)
        per_channel = (
            self.per_channel + strips * (RUN + height * ROW[stride]) + height * width * per_output
        )
        words = STRIP_WORDS[stride]
        spread = strips * rows * (words * SPREAD_WORD) - (strips - 1) * rows * (
            SPREAD_WORD - KEEP_WORD
        )
        groups = -(-channels // 4)
        return channels * per_channel + groups * (spread + strips * STRIP) + 200


def _variant(stride: int, out_width: int) -> str:
    """The end of the kernel's name."""
    if stride == 2:
        return "_stride2"
    return "_five" if out_width == 5 else ""


def _nine_taps(weights: np.ndarray) -> np.ndarray:
    """int8 array [channels][3][3]: a smaller kernel in the top left corner, the rest zero."""
    _, kernel_height, kernel_width, channels = weights.shape
    taps = np.zeros((channels, 3, 3), np.int8)
    taps[:, :kernel_height, :kernel_width] = weights[0].transpose(2, 0, 1)
    return taps


@register
class DspDepthwise3x3Wide(DspDepthwise3x3):
    """Weights of 16 bits and constants in flash as the inner loops read them."""

    scheme = "spread strips, 3x3, 16-bit weights"
    widened = True
    per_channel = 15

    def _channel_fields(self, op: Operator, constants: Channels) -> dict[str, object]:
        return {
            "weights": None,
            "entries": Blob("uint32_t", _entries(op, constants)),
            "constants.fast_shift": constants.form.fast_shift,
        }


def _entries(op: Operator, constants: Channels) -> np.ndarray:
    """Words of a trecx_depthwise_entry for each channel."""
    fast = constants.form.fast_shift > 0
    channels = [constants.exceptions.get(i, c) for i, c in enumerate(constants.standard)]
    left = np.array([c.shift + 1 if fast else 1 for c in channels])
    taps = _nine_taps(constants.weights(op)).astype(np.int64) << left[:, None, None] & 0xFFFF
    pairs = np.stack([taps[..., 0] | taps[..., 1] << 16, taps[..., 1] | taps[..., 2] << 16], -1)
    biases = (np.array([c.bias for c in channels]) << left).reshape(-1, 1)
    requantisation = np.array([[c.multiplier, c.offset, c.shift] for c in channels])
    words = np.concatenate([biases, pairs.reshape(len(channels), -1), requantisation], axis=1)
    return (words & 0xFFFFFFFF).reshape(-1)
