"""Turn a PAD in height and width before a convolution into the convolution's own padding.

Exact when the fill is the zero point, since a convolution pads with the zero point too.
"""

from __future__ import annotations

from dataclasses import replace

from trecx.ir.graph import Graph, Operator
from trecx.ir.ops import Padding


def fold_pad(graph: Graph) -> None:
    for pad in list(graph.operators):
        if pad.kind not in ("PAD", "PADV2") or not _pads_image_with_zero(pad):
            continue
        users = graph.consumers(pad.output)
        if pad.output in graph.outputs or not users:
            continue
        if not all(_takes_padding(user, pad) for user in users):
            continue
        for user in users:
            _, (top, bottom), (left, right), _ = pad.attrs.pads
            own = user.attrs.padding
            user.inputs[0] = pad.inputs[0]
            user.attrs = replace(
                user.attrs,
                padding=Padding(
                    own.top + top, own.bottom + bottom, own.left + left, own.right + right
                ),
            )
        graph.operators.remove(pad)


def _pads_image_with_zero(pad: Operator) -> bool:
    source = pad.inputs[0]
    pads = pad.attrs.pads
    return (
        len(pads) == 4
        and pads[0] == (0, 0)
        and pads[3] == (0, 0)
        and source.quant is not None
        and source.quant.same_as(pad.output.quant)
        and pad.attrs.value == source.zero_point
    )


def _takes_padding(user: Operator, pad: Operator) -> bool:
    return (
        user.kind in ("CONV_2D", "DEPTHWISE_CONV_2D")
        and user.inputs[0] is pad.output
        and user.inputs.count(pad.output) == 1
    )
