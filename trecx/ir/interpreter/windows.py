"""Sliding windows over NHWC images, shared by convolutions and pools."""

from __future__ import annotations

import numpy as np

from trecx.ir.ops import Padding


def images(value: np.ndarray) -> np.ndarray:
    """(N, batch, height, width, channels) to (N * batch, height, width, channels)."""
    return value.reshape(-1, *value.shape[2:])


def padded(
    image: np.ndarray,
    padding: Padding,
    output: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    fill: int,
) -> np.ndarray:
    """The image extended by `fill`, or cut, to exactly what all windows cover.

    The bottom and right padding follow from the output size, as in TFLite's kernels.
    """
    before = (padding.top, padding.left)
    widths = []
    for axis in (0, 1):
        covered = (output[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        size = image.shape[1 + axis]
        behind = max(covered - before[axis] - size, 0)
        widths.append((before[axis], behind))
    return np.pad(image, ((0, 0), *widths, (0, 0)), constant_values=fill)


def tap(
    image: np.ndarray,
    ky: int,
    kx: int,
    output: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> np.ndarray:
    """What tap (ky, kx) of every window sees: (N, out height, out width, channels), a view."""
    y, x = ky * dilation[0], kx * dilation[1]
    y_end, x_end = y + (output[0] - 1) * stride[0] + 1, x + (output[1] - 1) * stride[1] + 1
    return image[:, y : y_end : stride[0], x : x_end : stride[1], :]
