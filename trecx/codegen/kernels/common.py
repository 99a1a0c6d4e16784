"""Parameter fields that many kernels share."""

from __future__ import annotations

import numpy as np

from trecx.codegen.lowering import Blob
from trecx.ir.graph import Operator
from trecx.ir.ops import ConvAttrs, PoolAttrs
from trecx.ir.quantize import (
    activation_range,
    conv_multipliers,
    fully_connected_multipliers,
    wrap_int32,
)
from trecx.ir.weights import largest_dot_product, weight_sums

# A dot product of int8 weights and zero-point-corrected inputs (at most 255) must fit int32.
DOT_LIMIT = 2**31


def requantisation(op: Operator) -> tuple[np.ndarray, np.ndarray]:
    """(multipliers, shifts) of each output channel of a convolution or dense layer."""
    formula = fully_connected_multipliers if op.kind == "FULLY_CONNECTED" else conv_multipliers
    return formula(op.inputs[0].quant, op.inputs[1].quant, op.output.quant, op.output.shape[-1])


def requantisation_fields(op: Operator) -> dict[str, object]:
    """The struct fields `multiplier` and `shift`."""
    multiplier, shift = requantisation(op)
    return {"multiplier": Blob("int32_t", multiplier), "shift": Blob("int8_t", shift, align=1)}


def activation_fields(op: Operator) -> dict[str, object]:
    """The struct fields of the fused activation."""
    low, high = activation_range(op.attrs.activation, op.output.quant)
    return {"activation_min": low, "activation_max": high}


def offset_fields(op: Operator) -> dict[str, object]:
    """The struct fields of the zero points and of the fused activation."""
    return {
        "input_offset": -op.inputs[0].zero_point,
        "output_offset": op.output.zero_point,
        **activation_fields(op),
    }


def window_fields(op: Operator, kernel: tuple[int, int]) -> dict[str, object]:
    """The struct fields of a window that slides over an image; pools have no dilation."""
    _, height, width, _ = op.inputs[0].shape
    _, out_height, out_width, _ = op.output.shape
    window = "filter" if isinstance(op.attrs, PoolAttrs) else "kernel"
    fields = {
        "input_height": height,
        "input_width": width,
        "output_height": out_height,
        "output_width": out_width,
        f"{window}_height": kernel[0],
        f"{window}_width": kernel[1],
        "stride_height": op.attrs.stride[0],
        "stride_width": op.attrs.stride[1],
        "pad_top": op.attrs.padding.top,
        "pad_left": op.attrs.padding.left,
    }
    if isinstance(op.attrs, ConvAttrs):
        fields["dilation_height"], fields["dilation_width"] = op.attrs.dilation
    return fields


def bias_values(op: Operator) -> np.ndarray:
    """int32 array of shape (channels,); zeros where the operator has no bias."""
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    if bias is None:
        return np.zeros(op.output.shape[-1], np.int32)
    return bias.data.reshape(-1).astype(np.int32)


def folded_bias(op: Operator) -> np.ndarray:
    """Bias with the input's zero point folded in, modulo 2^32: int32 array (channels,).

    For kernels that multiply raw inputs and see the zero point wherever there is padding.
    """
    folded = bias_values(op).astype(np.int64) - op.inputs[0].zero_point * weight_sums(op)[0]
    return wrap_int32(folded).astype(np.int32)


def dot_overflow(op: Operator) -> str | None:
    """Why a 32-bit dot product could overflow; None when it cannot."""
    largest = largest_dot_product(op)
    if largest < DOT_LIMIT:
        return None
    return f"a dot product could reach {largest}, beyond 32 bits"
