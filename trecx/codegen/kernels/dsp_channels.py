"""Requantisation constants of the DSP kernels: `trecx_dsp_channels` of trecx/dsp/arith.h.

Seven bytes a channel where the ranges allow it. A channel outside them is written out as an
exception: constants under which the kernel gives the same output for every sum that can occur.
Trained networks need these: a channel that a batch normalisation has switched off gets a weight
scale near zero, and with it a huge bias and right shift, though its output hardly changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trecx.codegen.kernels.common import requantisation
from trecx.codegen.kernels.dsp_common import dot_range, folded_bias
from trecx.codegen.lowering import Blob
from trecx.ir.graph import Operator
from trecx.ir.quantize import activation_range, requantize

ACCUMULATOR_LIMIT = 1 << 23
BIAS_LIMIT = 1 << 21
OFFSET_LIMIT = 1 << 30
GENERAL_LARGEST_SHIFT = 21
PACKED_SHIFTS = 8  # three bits
EXCEPTION_BYTES = 20
PACKED_BYTES = 7


@dataclass(frozen=True)
class Constants:
    """bias, multiplier, offset, shift of one channel, as `trecx_dsp_channel` has them."""

    bias: int
    multiplier: int
    offset: int
    shift: int


@dataclass(frozen=True)
class Form:
    """A form of requantisation. fast_shift: E, or 0 for the general form."""

    fast_shift: int

    @property
    def least_shift(self) -> int:
        """The smallest value of a channel's `shift`; in the general form chosen later."""
        return 1 if self.fast_shift else 0

    def shift_of(self, right: int) -> int:
        """A channel's `shift` for a right shift of e: d = E - e, or e - 1."""
        return self.fast_shift - right if self.fast_shift else right - 1

    def allows(self, shift: int) -> bool:
        if self.fast_shift:
            return 1 <= shift <= 7
        return 0 <= shift < GENERAL_LARGEST_SHIFT

    def offset(self, zero_point: int, shift: int) -> int:
        if self.fast_shift:
            return ((2 * zero_point + 1) << (self.fast_shift - 1)) + ((1 << shift) >> 1)
        return (2 * zero_point + 1) << shift

    def evaluate(self, c: Constants, sums: np.ndarray) -> np.ndarray:
        """The kernel's result for dot products without bias, before the activation."""
        x = sums + c.bias
        if self.fast_shift:
            y = ((x << (c.shift + 1)) * c.multiplier >> 32) + c.offset >> self.fast_shift
        else:
            t = (2 * x * c.multiplier + (1 << 31) >> 32) + c.offset + (x >> 63)
            y = t >> c.shift + 1
        return np.clip(y, -128, 127)


@dataclass
class Channels:
    """All channels of a layer in one form. exceptions: channel -> constants."""

    form: Form
    least_shift: int
    zero_point: int
    standard: list[Constants | None] = field(default_factory=list)
    exceptions: dict[int, Constants] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return PACKED_BYTES * len(self.standard) + EXCEPTION_BYTES * len(self.exceptions)

    def fields(self, name: str) -> dict[str, object]:
        """Fields of a struct member `name` of type trecx_dsp_channels."""
        rows = [
            [k, c.bias, c.multiplier, c.offset, c.shift] for k, c in sorted(self.exceptions.items())
        ]
        values = {
            "packed": Blob("uint8_t", self._packed(), align=1),
            "exceptions": Blob("int32_t", np.array(rows).reshape(-1)) if rows else None,
            "exception_count": len(rows),
            "least_shift": self.least_shift,
            "zero_point": self.zero_point,
            "fast_shift": self.form.fast_shift,
        }
        return {f"{name}.{key}": value for key, value in values.items()}

    def _packed(self) -> np.ndarray:
        out = bytearray()
        for c in self.standard:
            word = 0
            if c is not None:
                word = c.multiplier | (c.shift - self.least_shift) << 31
                word |= (c.bias & (2 * BIAS_LIMIT - 1)) << 34
            out += word.to_bytes(PACKED_BYTES, "little")
        return np.frombuffer(bytes(out), np.uint8)


@dataclass(frozen=True)
class _Channel:
    """What the operator says of one channel; low, high: its smallest and largest dot product."""

    bias: int
    multiplier: int
    right: int
    low: int
    high: int
    zero_point: int
    activation: tuple[int, int]

    def reference(self, sums: np.ndarray) -> np.ndarray:
        result = requantize(
            sums + self.bias, self.multiplier, -self.right, self.zero_point, *self.activation
        )
        return result.astype(np.int64)


def keeps_negatives(op: Operator) -> bool:
    """Can outputs below the zero point survive the activation?"""
    return activation_range(op.attrs.activation, op.output.quant)[0] < op.output.zero_point


def pack_channels(op: Operator, fast_shift: int) -> Channels | str:
    """The channels of a layer in the best form, or why none can hold them.

    fast_shift: E of the kernel's fast form.
    """
    forms = [Form(0)] if keeps_negatives(op) else [Form(fast_shift), Form(0)]
    packed = [_pack(op, form) for form in forms]
    possible = [p for p in packed if isinstance(p, Channels)]
    if not possible:
        return packed[-1]
    # A few exceptions are the price of the fast form; a layer full of them is not.
    for channels in possible:
        if 4 * len(channels.exceptions) <= len(channels.standard):
            return channels
    return min(possible, key=lambda c: c.nbytes)


def _pack(op: Operator, form: Form) -> Channels | str:
    all_channels = _channels_of(op)
    shifts = [form.shift_of(c.right) for c in all_channels if _fits(form, c)]
    least = form.least_shift
    if not form.fast_shift and shifts:
        least = _busiest_window(shifts)
    result = Channels(form, least, op.output.zero_point)
    for index, channel in enumerate(all_channels):
        shift = form.shift_of(channel.right)
        if _fits(form, channel) and least <= shift < least + PACKED_SHIFTS:
            offset = form.offset(channel.zero_point, shift)
            result.standard.append(Constants(channel.bias, channel.multiplier, offset, shift))
            continue
        found = _solve(form, channel)
        if found is None:
            return (
                f"channel {index}: multiplier {channel.multiplier}, right shift {channel.right}, "
                f"sums from {channel.low} to {channel.high} plus {channel.bias} have no short form"
            )
        result.standard.append(None)
        result.exceptions[index] = found
    return result


def _busiest_window(shifts: list[int]) -> int:
    """Start of the eight consecutive shifts that hold most channels."""
    counts = np.bincount(shifts, minlength=GENERAL_LARGEST_SHIFT + PACKED_SHIFTS)
    sums = np.convolve(counts, np.ones(PACKED_SHIFTS, int))[PACKED_SHIFTS - 1 :]
    return int(sums.argmax())


def _channels_of(op: Operator) -> list[_Channel]:
    multiplier, shift = requantisation(op)
    low, high = dot_range(op)
    bias = folded_bias(op)
    activation = activation_range(op.attrs.activation, op.output.quant)
    return [
        _Channel(
            *(int(v[i]) for v in (bias, multiplier, -shift.astype(int), low, high)),
            op.output.zero_point,
            activation,
        )
        for i in range(len(multiplier))
    ]


def _fits(form: Form, c: _Channel) -> bool:
    """Can the channel be packed, by the proofs in trecx/dsp/arith.h?"""
    return (
        c.multiplier != 0
        and abs(c.bias) < BIAS_LIMIT
        and form.allows(form.shift_of(c.right))
        and max(abs(c.low + c.bias), abs(c.high + c.bias)) < ACCUMULATOR_LIMIT
    )


# --- exceptions ------------------------------------------------------------------------------


def _solve(form: Form, c: _Channel) -> Constants | None:
    """Constants with the reference's result for every dot product from c.low to c.high.

    Both results are steps that rise with the dot product, so they are equal when they are equal on
    both sides of each of the reference's steps.
    """
    if max(abs(c.low + c.bias), abs(c.high + c.bias)) >= 1 << 31 or c.right < 0:
        return None
    first, last = c.reference(np.array([c.low, c.high]))
    shift = 1
    if first == last:
        scale = form.fast_shift or shift + 1
        return Constants(0, 0, (2 * int(first) + 1) << (scale - 1), shift)
    edges = _step_edges(c, int(first), int(last))
    points = np.concatenate([edges - 1, edges, [c.low, c.high]])
    want = c.reference(points)
    for candidate in _candidates(form, c):
        got = np.clip(form.evaluate(candidate, points), *c.activation)
        if np.array_equal(got, want):
            return candidate
    return None


def _step_edges(c: _Channel, first: int, last: int) -> np.ndarray:
    """Smallest dot product that gives at least v, for each v from first + 1 to last."""
    values = np.arange(first + 1, last + 1)
    below, at = np.full(values.shape, c.low), np.full(values.shape, c.high)
    while np.any(at - below > 1):
        middle = (below + at) // 2
        reached = c.reference(middle) >= values
        at, below = np.where(reached, middle, at), np.where(reached, below, middle)
    return at


def _candidates(form: Form, c: _Channel, tries: int = 4096, kept: int = 32):
    """Constants on the reference's line, those with the smallest error of the offset first.

    A bias between 0 and `tries` moves the line by less than the offset's unit, which makes its
    rounding error small.
    """
    slope = c.multiplier * 2.0 ** (-31 - c.right)  # output steps for each unit of the sum
    # The two roundings, as one constant; see trecx/dsp/arith.h. Sums that are negative
    # throughout have their own in the general form.
    level = c.zero_point + 0.5 + 2.0 ** (-1 - c.right) + c.bias * slope
    if c.high + c.bias < 0:
        level -= 2.0**-c.right
    base = 0 if form.fast_shift else -c.low  # in the general form the sum keeps one sign
    for shift, unit, multiplier in _slopes(form, slope):
        if not 0 < multiplier < 1 << 31:
            continue
        exact_slope = multiplier * 2.0 ** (shift + 1 - 32 if form.fast_shift else -31) / unit
        bias = base + np.arange(tries)
        half = 0.0 if form.fast_shift else 0.5
        wish = unit * (level - bias * exact_slope) - half
        order = np.argsort(np.abs(wish - np.rint(wish)), kind="stable")[:kept]
        for i in order:
            found = Constants(int(bias[i]), multiplier, int(np.rint(wish[i])), shift)
            reach = max(abs(c.low + found.bias), abs(c.high + found.bias))
            if reach < ACCUMULATOR_LIMIT and abs(found.offset) < OFFSET_LIMIT:
                yield found


def _slopes(form: Form, slope: float):
    """(shift, units of the offset in an output step, multiplier) that give the slope."""
    if form.fast_shift:
        for d in range(1, 8):
            yield d, 1 << form.fast_shift, round(slope * 2.0 ** (form.fast_shift + 31 - d))
    else:
        for right in range(GENERAL_LARGEST_SHIFT, 0, -1):
            yield right - 1, 1 << right, round(slope * 2.0 ** (31 + right))
