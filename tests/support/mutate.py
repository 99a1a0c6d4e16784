"""Seeded mutations of .tflite files, in the ways that break readers of binary formats.

`mutate` changes bytes; most results are not well-formed any more. `mutate_records` changes the
values in a well-formed file, so that what lies behind the reader is reached.
"""

from __future__ import annotations

import numpy as np

from trecx.tflite.flatbuffer import Record

# Values at which 8, 16 and 32-bit fields change their meaning.
_EXTREMES = (0, 1, 2, 3, 4, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000)
_EXTREMES += (0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFE, 0xFFFFFFFF)


def mutate(data: bytes, random: np.random.Generator) -> bytes:
    """`data` after one to three random changes; about as long as before."""
    out = bytearray(data)
    for _ in range(int(random.choice([1, 1, 2, 3]))):
        change = _CHANGES[int(random.integers(len(_CHANGES)))]
        change(out, random)
    return bytes(out)


def _place(out: bytearray, random: np.random.Generator, width: int) -> int:
    """A position for `width` bytes; weights make up most of a file, so ends are preferred."""
    last = max(len(out) - width, 0)
    near = min(last, 2000)
    kind = random.integers(3)
    if kind == 0:
        return int(random.integers(near + 1))
    if kind == 1:
        return last - int(random.integers(near + 1))
    return int(random.integers(last + 1))


def _flip_bit(out: bytearray, random: np.random.Generator) -> None:
    if out:
        out[_place(out, random, 1)] ^= 1 << int(random.integers(8))


def _random_byte(out: bytearray, random: np.random.Generator) -> None:
    if out:
        out[_place(out, random, 1)] = int(random.integers(256))


def _extreme(out: bytearray, random: np.random.Generator) -> None:
    width = int(random.choice([1, 2, 4, 8]))
    value = int(random.choice(_EXTREMES)) % (1 << 8 * width)
    place = _place(out, random, width) // width * width
    out[place : place + width] = value.to_bytes(width, "little")


def _small_change(out: bytearray, random: np.random.Generator) -> None:
    """Add a little to an aligned 32-bit value: offsets, lengths and indices that just miss."""
    place = _place(out, random, 4) // 4 * 4
    value = int.from_bytes(out[place : place + 4], "little") + int(random.integers(-9, 10))
    out[place : place + 4] = (value % (1 << 32)).to_bytes(4, "little")


def _copy_block(out: bytearray, random: np.random.Generator) -> None:
    size = int(random.integers(1, 65))
    source, target = _place(out, random, size), _place(out, random, size)
    block = out[source : source + size]
    out[target : target + len(block)] = block


def _remove_block(out: bytearray, random: np.random.Generator) -> None:
    place = _place(out, random, 1)
    del out[place : place + int(random.integers(1, 17))]


def _insert_block(out: bytearray, random: np.random.Generator) -> None:
    place = _place(out, random, 1)
    out[place:place] = random.bytes(int(random.integers(1, 17)))


def _truncate(out: bytearray, random: np.random.Generator) -> None:
    del out[int(random.integers(len(out) + 1)) :]


_CHANGES = (
    _flip_bit,
    _random_byte,
    _extreme,
    _extreme,
    _small_change,
    _small_change,
    _copy_block,
    _remove_block,
    _insert_block,
    _truncate,
)


# --- Changes of the values in a well-formed file ---


def mutate_records(model: Record, random: np.random.Generator) -> None:
    """Change one or two values somewhere in a model's records, in place."""
    records = _all_records(model)
    for _ in range(int(random.integers(1, 3))):
        # Small tables (options, operators) are few among tensors and buffers; pick by kind first.
        kinds = sorted({r.table for r in records})
        kind = kinds[int(random.integers(len(kinds)))]
        same = [r for r in records if r.table == kind]
        _change_field(same[int(random.integers(len(same)))], records, random)


def _all_records(root: Record) -> list[Record]:
    found, waiting = [], [root]
    while waiting:
        record = waiting.pop()
        found.append(record)
        for name in record.fields():
            value = getattr(record, name)
            values = value if isinstance(value, list) else [value]
            waiting += [v for v in values if isinstance(v, Record)]
    return found


def _change_field(record: Record, records: list[Record], random: np.random.Generator) -> None:
    names = record.fields()
    if not names:
        return
    name = names[int(random.integers(len(names)))]
    value = getattr(record, name)
    if isinstance(value, np.ndarray):
        setattr(record, name, _changed_array(value, random))
    elif isinstance(value, list):
        _change_list(value, random)
    elif isinstance(value, str):
        setattr(record, name, "x" * int(random.choice([0, 1, 1000])))
    elif isinstance(value, Record):
        others = [r for r in records if r.table.endswith("Options")]
        if name == "builtin_options" and others:
            setattr(record, name, others[int(random.integers(len(others)))])
        else:
            setattr(record, name, None)
    elif isinstance(value, bool):
        setattr(record, name, not value)
    elif isinstance(value, (int, float)):
        setattr(record, name, _changed_number(record, name, value, random))


def _changed_number(record: Record, name: str, value, random: np.random.Generator):
    choices = [0, 1, 2, 3, 9, 100, 126, 127, value + 1, value - 1]
    if isinstance(value, float):
        choices += [float("nan"), float("inf"), -1.0, 1e-40, 1e38]
    new = choices[int(random.integers(len(choices)))]
    unsigned = record.field_type(name).startswith("u")
    return max(new, 0) if unsigned else new


def _changed_array(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    values = values.copy()
    kind = random.integers(4)
    if kind == 0 or values.size == 0:
        return np.append(values, values[:1] if values.size else np.ones(1, values.dtype))
    place = int(random.integers(values.size))
    if kind == 1:
        return np.delete(values, place)
    if values.dtype.kind == "f":
        values[place] = random.choice([0, -1, np.nan, np.inf, 1e-40, 1e38, 1 / 256])
    else:
        low, high = np.iinfo(values.dtype).min, np.iinfo(values.dtype).max
        choices = [0, 1, -1, 2, 5, 127, 1000, low, high, int(values[place]) + 1]
        values[place] = np.clip(choices[int(random.integers(len(choices)))], low, high)
    return values


def _change_list(values: list, random: np.random.Generator) -> None:
    if not values:
        return
    place = int(random.integers(len(values)))
    other = int(random.integers(len(values)))
    kind = random.integers(3)
    if kind == 0:
        del values[place]
    elif kind == 1:
        values.insert(other, values[place])
    else:
        values[place], values[other] = values[other], values[place]
