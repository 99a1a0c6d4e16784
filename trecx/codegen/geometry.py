"""How kernels walk through memory: overlap gaps, joined dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trecx.ir.graph import Operator


def window_gap(op: Operator, by_channel: bool) -> int:
    """Smallest gap (see `Step.overlap`) of a kernel that slides a window over an NHWC image.

    The kernel goes through output rows, columns and channels in order and writes each value after
    the last read for it. An output value may only overwrite input that no later value reads.

    Args:
        op: a convolution or pool.
        by_channel: output channel c reads only input channel c (else all channels).
    """
    _, height, width, in_channels = op.inputs[0].shape
    _, out_height, out_width, channels = op.output.shape
    a = op.attrs
    first_row = _first_inside(out_height, a.stride[0], a.padding.top, height)
    first_column = _first_inside(out_width, a.stride[1], a.padding.left, width)
    # First byte that the window of each output pixel reads, and all later pixels read.
    begin = (first_row[:, None] * width + first_column[None, :]).reshape(-1) * in_channels
    later = np.minimum.accumulate(begin[::-1])[::-1]
    pixel = np.arange(out_height * out_width)
    # While a pixel's channels are written, its own window is still needed: the whole of it, or,
    # channel by channel, from the channel that follows the one just written.
    own = pixel * channels - begin if by_channel else (pixel + 1) * channels - 1 - begin
    after = (pixel[:-1] + 1) * channels - later[1:]
    return max(0, int(own.max()), int(after.max(initial=0)))


def _first_inside(outputs: int, stride: int, pad: int, size: int) -> np.ndarray:
    """First row or column inside the image that each window touches (or the nearest to it)."""
    return np.clip(np.arange(outputs) * stride - pad, 0, size - 1)


def taps_inside(op: Operator, kernel: tuple[int, int]) -> int:
    """Taps that lie inside the image, summed over the windows of all output pixels."""
    dilation = getattr(op.attrs, "dilation", (1, 1))
    total = 1
    for axis, pad in ((0, op.attrs.padding.top), (1, op.attrs.padding.left)):
        start = np.arange(op.output.shape[1 + axis]) * op.attrs.stride[axis] - pad
        at = start[:, None] + np.arange(kernel[axis]) * dilation[axis]
        total *= int(((at >= 0) & (at < op.inputs[0].shape[1 + axis])).sum())
    return total


def join_dimensions(
    dims: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[list[int], list[list[int]]]:
    """Drop dimensions of size 1 and join neighbours that every tensor walks as one.

    Args:
        dims: sizes.
        strides: one list of strides for each tensor, as long as dims.

    Returns:
        The same walk with the fewest dimensions.
    """
    kept: list[int] = []
    out: list[list[int]] = [[] for _ in strides]
    for axis, size in enumerate(dims):
        if size == 1:
            continue
        steps = [s[axis] for s in strides]
        if kept and all(o[-1] == step * size for o, step in zip(out, steps, strict=True)):
            kept[-1] *= size
            for o, step in zip(out, steps, strict=True):
                o[-1] = step
        else:
            kept.append(size)
            for o, step in zip(out, steps, strict=True):
                o.append(step)
    return kept, out


def extend_to(rank: int, dims: list[int], strides: list[list[int]]):
    """Outer dimensions of size 1 in front, so that there are `rank` of them."""
    missing = rank - len(dims)
    return [1] * missing + dims, [[0] * missing + s for s in strides]


def dense_strides(shape: Sequence[int]) -> list[int]:
    """Distance between neighbours along each dimension of a dense tensor."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.insert(0, step)
        step *= size
    return strides


def broadcast_strides(shape: Sequence[int], rank: int) -> list[int]:
    """Strides of a dense tensor over `rank` dimensions; 0 where its size is 1 or missing."""
    full = (1,) * (rank - len(shape)) + tuple(shape)
    return [0 if n == 1 else s for n, s in zip(full, dense_strides(full), strict=True)]


def reduction_walk(shape: Sequence[int], axes: Sequence[int]):
    """((sizes, strides) of the kept dimensions, the same of the reduced ones), joined."""
    strides = dense_strides(shape)
    parts = []
    for reduced in (False, True):
        chosen = [a for a in range(len(shape)) if (a in axes) == reduced]
        dims, (steps,) = join_dimensions([shape[a] for a in chosen], [[strides[a] for a in chosen]])
        parts.append((dims, steps))
    return parts
