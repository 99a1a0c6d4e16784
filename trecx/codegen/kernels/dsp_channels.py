"""Requantisation constants of the DSP kernels: `trecx_dsp_channels` of trecx/dsp/arith.h.

Six bytes a channel where the ranges allow it: the multiplier is made on the device, exactly, from
the 24-bit mantissa of the channel's weight scale and one ratio of the layer.

Trained networks have channels outside these ranges: one that a batch normalisation has switched
off gets a weight scale near zero, and with it a huge bias and right shift. If its output is the
same for all inputs, its weights are packed as zeros beside a bias that gives this output. Otherwise
it becomes an exception: constants under which the kernel gives the same output for every sum that
can occur, and twenty bytes more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

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
PACKED_BYTES = 6
MANTISSA_BITS = 23  # of a float32, without the leading one
ONE = 1 << MANTISSA_BITS  # the mantissa of 1.0


@dataclass(frozen=True)
class Constants:
    """bias, multiplier, offset, shift of one channel, as `trecx_dsp_channel` has them."""

    bias: int
    multiplier: int
    offset: int
    shift: int


@dataclass(frozen=True)
class Form:
    """A form of requantisation.

    fast_shift: E, or 0 for the general form. largest: of d in the fast form.
    """

    fast_shift: int
    largest: int = 7

    @property
    def least_shift(self) -> int:
        """The smallest value of a channel's `shift`; in the general form chosen later."""
        return 1 if self.fast_shift else 0

    def shift_of(self, right: int) -> int:
        """A channel's `shift` for a right shift of e: d = E - e, or e - 1."""
        return self.fast_shift - right if self.fast_shift else right - 1

    def allows(self, shift: int) -> bool:
        if self.fast_shift:
            return 1 <= shift <= self.largest
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
    """All channels of a layer in one form.

    ratio, mantissas: what multipliers are made of (`device_multiplier`). standard: a channel's
    constants, or None for one of the exceptions (channel -> constants). constant: the channels
    whose weights must be packed as zeros.
    """

    form: Form
    least_shift: int
    zero_point: int
    ratio: int
    mantissas: np.ndarray
    standard: list[Constants | None] = field(default_factory=list)
    exceptions: dict[int, Constants] = field(default_factory=dict)
    constant: list[int] = field(default_factory=list)

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
            "ratio_high": self.ratio >> 32,
            "ratio_low": self.ratio & 0xFFFFFFFF,
            "exception_count": len(rows),
            "least_shift": self.least_shift,
            "zero_point": self.zero_point,
            "fast_shift": self.form.fast_shift,
        }
        return {f"{name}.{key}": value for key, value in values.items()}

    def weights(self, op: Operator) -> np.ndarray:
        """The operator's weights, in their own layout, with zeros in the constant channels."""
        weights = op.inputs[1].data
        if not self.constant:
            return weights
        weights = weights.copy()
        axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
        np.moveaxis(weights, axis, 0)[self.constant] = 0
        return weights

    def _packed(self) -> np.ndarray:
        out = bytearray()
        for c, mantissa in zip(self.standard, self.mantissas, strict=True):
            word = 0
            if c is not None:
                word = int(mantissa) & ((1 << MANTISSA_BITS) - 1)
                word |= (c.shift - self.least_shift) << MANTISSA_BITS
                word |= (c.bias & (2 * BIAS_LIMIT - 1)) << MANTISSA_BITS + 3
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


def pack_channels(op: Operator, fast_shift: int, largest: int = 7) -> Channels | str:
    """The channels of a layer in the best form, or why none can hold them.

    fast_shift: E of the kernel's fast form; largest: d that it allows.
    """
    fast = Form(fast_shift, largest)
    forms = [Form(0)] if keeps_negatives(op) else [fast, Form(0)]
    packed = [_pack(op, form) for form in forms]
    possible = [p for p in packed if isinstance(p, Channels)]
    if not possible:
        return packed[-1]
    fast, general = possible[0], possible[-1]
    # A few exceptions are the price of the fast form; many more than the general one's are not.
    allowed = len(general.exceptions) + len(general.standard) // 4
    return fast if len(fast.exceptions) <= allowed else general


def _pack(op: Operator, form: Form) -> Channels | str:
    all_channels = _channels_of(op)
    shifts = [form.shift_of(c.right) for c in all_channels if _fits(form, c)]
    least = form.least_shift
    if not form.fast_shift and shifts:
        least = _busiest_window(shifts)
    exact_ratio, scales = _scales(op)
    ratio, mantissas = _normalized(exact_ratio), _mantissas(scales)
    result = Channels(form, least, op.output.zero_point, ratio, mantissas)
    for index, channel in enumerate(all_channels):
        shift = form.shift_of(channel.right)
        in_window = least <= shift < least + PACKED_SHIFTS
        made = device_multiplier(int(mantissas[index]), ratio)
        if _fits(form, channel) and in_window and made == channel.multiplier:
            offset = form.offset(channel.zero_point, shift)
            result.standard.append(Constants(channel.bias, channel.multiplier, offset, shift))
            continue
        constant = _constant(result, channel)
        if constant is not None:
            result.standard.append(constant)
            result.mantissas[index] = ONE
            result.constant.append(index)
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


def _scales(op: Operator) -> tuple[Fraction, np.ndarray]:
    """Ratio of the layer and float32 scale of each channel, whose product is the real multiplier.

    As in trecx.ir.quantize: a dense layer with one weight scale has its product rounded to float32.
    """
    source, target = op.inputs[0].scale, op.output.scale
    scales = op.inputs[1].quant.scale.astype(np.float32)
    if op.kind == "FULLY_CONNECTED" and op.inputs[1].quant.is_per_tensor:
        scales, source = scales * np.float32(source), 1.0
    return Fraction(source) / Fraction(target), np.broadcast_to(scales, op.output.shape[-1])


def _normalized(ratio: Fraction) -> int:
    """ratio times a power of two, rounded down, in [2^63, 2^64)."""
    shift = 64 - (ratio.numerator.bit_length() - ratio.denominator.bit_length())
    scaled = ratio * Fraction(2) ** shift
    while scaled >= 1 << 64:
        scaled /= 2
    return int(scaled)


def _mantissas(scales: np.ndarray) -> np.ndarray:
    """24-bit mantissas of float32 scales, int64; 0 for one that is not normal."""
    mantissa = np.frexp(scales)[0].astype(np.float64) * (1 << MANTISSA_BITS + 1)
    return np.where(scales >= np.finfo(np.float32).tiny, mantissa, 0).astype(np.int64)


def device_multiplier(mantissa: int, ratio: int) -> int:
    """The multiplier that dsp/channels.c makes; almost always that of TFLite's double formula."""
    product = mantissa * (ratio >> 32) + (mantissa * (ratio & 0xFFFFFFFF) >> 32)
    drop = MANTISSA_BITS + 2 if product >> 2 * MANTISSA_BITS + 9 else MANTISSA_BITS + 1
    return (product + (1 << drop - 1)) >> drop


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


def _is_representable(c: _Channel) -> bool:
    """Is the reference's arithmetic free of wrapping and of left shifts?"""
    return max(abs(c.low + c.bias), abs(c.high + c.bias)) < 1 << 31 and c.right >= 0


def _constant(channels: Channels, c: _Channel) -> Constants | None:
    """Packed constants for a channel with the same output for all inputs, weights taken as zero."""
    if not _is_representable(c):
        return None
    first, last = (int(v) for v in c.reference(np.array([c.low, c.high])))
    if first != last:
        return None
    form, shift = channels.form, channels.least_shift + 3
    multiplier = device_multiplier(ONE, channels.ratio)
    right = form.shift_of(shift) if form.fast_shift else shift + 1
    bias = round((first - c.zero_point) * 2 ** (31 + right) / multiplier)
    found = Constants(bias, multiplier, form.offset(c.zero_point, shift), shift)
    exact = int(form.evaluate(found, np.zeros(1, np.int64))[0]) == first
    return found if exact and abs(bias) < BIAS_LIMIT and form.allows(shift) else None


# --- exceptions ------------------------------------------------------------------------------


def _solve(form: Form, c: _Channel) -> Constants | None:
    """Constants with the reference's result for every dot product from c.low to c.high.

    Both results are steps that rise with the dot product, so they are equal when they are equal on
    both sides of each of the reference's steps.
    """
    if not _is_representable(c):
        return None
    first, last = c.reference(np.array([c.low, c.high]))
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
        for d in range(1, form.largest + 1):
            yield d, 1 << form.fast_shift, round(slope * 2.0 ** (form.fast_shift + 31 - d))
    else:
        for right in range(GENERAL_LARGEST_SHIFT, 0, -1):
            yield right - 1, 1 << right, round(slope * 2.0 ** (31 + right))
