"""A small reader and writer of flatbuffers, driven by a table that describes the format.

The format (https://flatbuffers.dev/internals) is little-endian. A *table* begins with a signed
32-bit distance back to its *vtable*: two uint16 (bytes of the vtable, bytes of the table), then a
uint16 for each field, the field's place in the table or 0 when absent. Strings, vectors and other
tables are reached by an unsigned 32-bit distance forward. The file begins with the distance to
the root table and a four-byte identifier.

Every distance, size and length is checked before it is followed, so a damaged file raises
`ModelFormatError`, whatever it holds. References point forward only, so they cannot form a cycle;
but many may point to one place, which would let a small file describe a huge tree. The reader
therefore counts the bytes it follows and stops when they exceed the length of the file.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trecx.errors import ModelFormatError

_U16 = struct.Struct("<H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")

# Distances are 32 bits, and implementations in C++ read them as signed.
MAX_FILE_BYTES = 2**31 - 1

# Far more fields than any table of a real schema has; bounds the work that a file can ask for.
_MAX_SLOTS = 256

_SCALARS = {
    "bool": np.dtype("?"),
    "byte": np.dtype("<i1"),
    "ubyte": np.dtype("<u1"),
    "short": np.dtype("<i2"),
    "ushort": np.dtype("<u2"),
    "int": np.dtype("<i4"),
    "uint": np.dtype("<u4"),
    "long": np.dtype("<i8"),
    "ulong": np.dtype("<u8"),
    "float": np.dtype("<f4"),
}
_PACK = {name: struct.Struct("<" + code) for name, code in zip(_SCALARS, "?bBhHiIqQf", strict=True)}


@dataclass(frozen=True)
class Field:
    """One field of a table.

    form: "scalar", "string", "table", "union", "scalars" (vector), "tables" or "strings".
    type: name of the scalar, table or union. slot: place in the vtable (a union's value; its
    type code stands in the slot before). align: bytes, of a vector's first element.
    """

    name: str
    form: str
    type: str
    slot: int
    default: object = None
    align: int = 4


class Schema:
    """Tables and unions by name, from the compact notation that `trecx.tflite.schema` explains."""

    def __init__(self, tables: dict[str, str], unions: dict[str, tuple[str, ...]]):
        self._text = tables
        self.unions = unions
        self._tables: dict[str, TableType] = {}

    def table(self, name: str) -> TableType:
        """The table's description. A name without an entry is a table without fields."""
        if name not in self._tables:
            self._tables[name] = TableType(name, _parse_fields(self._text.get(name, "")))
        return self._tables[name]

    def new(self, name: str, /, **values) -> Record:
        """A record of table `name`; the fields not given have their defaults."""
        record = Record(self.table(name))
        for key, value in values.items():
            setattr(record, key, value)
        return record


class TableType:
    """Name and fields of a table."""

    def __init__(self, name: str, fields: tuple[Field, ...]):
        self.name = name
        self.fields = fields
        self.by_slot = {f.slot: f for f in fields}
        self.defaults = {f.name: f.default for f in fields}

    @cached_property
    def slots(self) -> frozenset[int]:
        """Slots with a meaning, those of the unions' type codes included."""
        return frozenset(self.by_slot) | {f.slot - 1 for f in self.fields if f.form == "union"}


class Record:
    """A table's values as attributes; a field that is absent reads as its default.

    Vectors of scalars are NumPy arrays (views of the file when they were read), vectors of tables
    lists of records, strings str, unions a `Record`, None or `UnknownUnion`.
    `unread_slots` are fields that the file has and the schema does not know.
    """

    __slots__ = ("_type", "_values", "unread_slots")

    def __init__(self, table_type: TableType):
        object.__setattr__(self, "_type", table_type)
        object.__setattr__(self, "_values", {})
        object.__setattr__(self, "unread_slots", ())

    @property
    def table(self) -> str:
        return self._type.name

    def __getattr__(self, name: str):
        if name in self._values:
            return self._values[name]
        try:
            return self._type.defaults[name]
        except KeyError:
            raise AttributeError(f"table {self._type.name} has no field {name!r}") from None

    def __setattr__(self, name: str, value) -> None:
        if name not in self._type.defaults:
            raise AttributeError(f"table {self._type.name} has no field {name!r}")
        self._values[name] = value

    def fields(self) -> list[str]:
        """Names of the table's fields."""
        return list(self._type.defaults)

    def field_type(self, name: str) -> str:
        """Name of a field's scalar, table or union type."""
        return next(f.type for f in self._type.fields if f.name == name)

    def copy(self, **changes) -> Record:
        """A shallow copy with some fields replaced."""
        twin = Record(self._type)
        twin._values.update(self._values)
        object.__setattr__(twin, "unread_slots", self.unread_slots)
        for key, value in changes.items():
            setattr(twin, key, value)
        return twin

    def __repr__(self) -> str:
        return f"{self.table}({', '.join(f'{k}={v!r}' for k, v in self._values.items())})"


@dataclass(frozen=True)
class UnknownUnion:
    """A union member that the schema does not list; it can be carried but not written."""

    code: int


def _parse_fields(text: str) -> tuple[Field, ...]:
    fields = []
    slot = 0
    for item in text.split():
        if item != "-":  # "-" is a slot that is no longer used
            name, _, spec = item.partition(":")
            slot += spec.startswith("<")
            fields.append(_parse_field(name, spec, slot))
        slot += 1
    return tuple(fields)


def _parse_field(name: str, spec: str, slot: int) -> Field:
    if spec.startswith("<"):
        return Field(name, "union", spec[1:-1], slot)
    if spec.startswith("["):
        inner, _, align = spec[1:-1].partition("@")
        if inner in _SCALARS:
            return Field(name, "scalars", inner, slot, align=int(align or _PACK[inner].size))
        return Field(name, "strings" if inner == "string" else "tables", inner, slot)
    scalar, _, default = spec.partition("=")
    if scalar not in _SCALARS:
        return Field(name, "string" if spec == "string" else "table", spec, slot)
    convert = {"float": float, "bool": lambda text: text == "true"}.get(scalar, int)
    return Field(name, "scalar", scalar, slot, convert(default or "0"))


# --- Reading ---


def read(data: bytes, schema: Schema, root: str, identifier: bytes) -> Record:
    """The root record of the flatbuffer in `data`.

    Arrays in the result are views of `data`. Raises ModelFormatError when `data` is not a
    well-formed flatbuffer with this identifier.
    """
    if len(data) < 8:
        raise ModelFormatError(
            f"not a {identifier.decode()} flatbuffer: {len(data)} bytes, at least 8 expected"
        )
    if len(data) > MAX_FILE_BYTES:
        raise ModelFormatError(
            f"flatbuffer of {len(data)} bytes: at most {MAX_FILE_BYTES} possible"
        )
    if bytes(data[4:8]) != identifier:
        raise ModelFormatError(
            f"file identifier {bytes(data[4:8])!r} found at offset 4, {identifier!r} expected"
        )
    reader = _Reader(data, schema)
    return reader.table(reader.u32(0), schema.table(root))


class _Reader:
    def __init__(self, data: bytes, schema: Schema):
        self.data = data
        self.size = len(data)
        self.schema = schema
        self.budget = len(data)

    def need(self, position: int, count: int, what: str) -> None:
        if position < 0 or position + count > self.size:
            raise ModelFormatError(
                f"{what} at offset {position} needs {count} bytes, "
                f"the file has {self.size}: truncated or damaged"
            )

    def spend(self, count: int) -> None:
        self.budget -= count
        if self.budget < 0:
            raise ModelFormatError("objects of the file overlap: damaged or made to mislead")

    def u32(self, position: int) -> int:
        self.need(position, 4, "an offset")
        return _U32.unpack_from(self.data, position)[0]

    def table(self, position: int, kind: TableType) -> Record:
        """The record of the table that begins at `position`."""
        places, size = self.vtable(position, kind.name)
        self.spend(size)
        record = Record(kind)
        unread = []
        for slot, place in enumerate(places):
            if place == 0:
                continue
            field = kind.by_slot.get(slot)
            if field is None:
                if slot not in kind.slots:
                    unread.append(slot)
                continue
            width = _PACK[field.type].size if field.form == "scalar" else 4
            if place < 4 or place + width > size:
                raise ModelFormatError(
                    f"field {field.name} of {kind.name} at offset {position} lies at {place}, "
                    f"outside the table's {size} bytes"
                )
            value = self.field(position, place, field, places)
            if value is not None:
                record._values[field.name] = value
        object.__setattr__(record, "unread_slots", tuple(unread))
        return record

    def vtable(self, position: int, name: str) -> tuple[tuple[int, ...], int]:
        """The fields' places in the table at `position`, and the table's size in bytes."""
        self.need(position, 4, f"table {name}")
        vtable = position - _I32.unpack_from(self.data, position)[0]
        self.need(vtable, 4, f"vtable of {name}")
        vtable_size = _U16.unpack_from(self.data, vtable)[0]
        size = _U16.unpack_from(self.data, vtable + 2)[0]
        if not 4 <= vtable_size <= 2 * _MAX_SLOTS or vtable_size % 2 or size < 4:
            raise ModelFormatError(
                f"vtable of {name} at offset {vtable} has impossible sizes {vtable_size}, {size}"
            )
        self.need(vtable, vtable_size, f"vtable of {name}")
        self.need(position, size, f"table {name}")
        count = vtable_size // 2 - 2
        return struct.unpack_from(f"<{count}H", self.data, vtable + 4), size

    def field(self, table: int, place: int, field: Field, places: tuple[int, ...]):
        position = table + place
        if field.form == "scalar":
            return _PACK[field.type].unpack_from(self.data, position)[0]
        if field.form == "union":
            return self.union(table, position, field, places)
        target = position + self.u32(position)
        if field.form == "table":
            return self.table(target, self.schema.table(field.type))
        if field.form == "string":
            return self.string(target, field.name)
        if field.form == "scalars":
            return self.scalars(target, field)
        return self.references(target, field)

    def union(self, table: int, position: int, field: Field, places: tuple[int, ...]):
        code_place = places[field.slot - 1]
        if code_place == 0:
            return None
        self.need(table + code_place, 1, f"type of {field.name}")
        code = self.data[table + code_place]
        if code == 0:
            return None
        members = self.schema.unions[field.type]
        if code >= len(members):
            return UnknownUnion(code)
        return self.table(position + self.u32(position), self.schema.table(members[code]))

    def length(self, position: int, width: int, name: str) -> int:
        """Number of elements of the vector at `position`, proved to lie inside the file."""
        count = self.u32(position)
        self.need(position + 4, count * width, f"vector {name} of {count} elements")
        self.spend(4 + count * width)
        return count

    def string(self, position: int, name: str) -> str:
        count = self.length(position, 1, name)
        raw = bytes(self.data[position + 4 : position + 4 + count])
        return raw.decode("utf-8", "backslashreplace")

    def scalars(self, position: int, field: Field) -> np.ndarray:
        dtype = _SCALARS[field.type]
        count = self.length(position, dtype.itemsize, field.name)
        return np.frombuffer(self.data, dtype, count, position + 4)

    def references(self, position: int, field: Field) -> list:
        count = self.length(position, 4, field.name)
        places = range(position + 4, position + 4 + 4 * count, 4)
        if field.form == "strings":
            return [self.string(p + self.u32(p), field.name) for p in places]
        kind = self.schema.table(field.type)
        return [self.table(p + self.u32(p), kind) for p in places]


# --- Writing ---


def write(root: Record, schema: Schema, identifier: bytes) -> bytes:
    """The flatbuffer of `root` and all it holds; the same records give the same bytes.

    Raises ModelFormatError when a record holds what the schema cannot describe (fields or union
    members of a newer version), since it would be lost silently.
    """
    return _Writer(schema).file(root, identifier)


class _Writer:
    """Appends objects breadth first, so that every reference points forward."""

    def __init__(self, schema: Schema):
        self.schema = schema
        self.out = bytearray()
        self.vtables: dict[bytes, int] = {}
        self.waiting: deque[tuple[int, str, object, Field | None]] = deque()

    def file(self, root: Record, identifier: bytes) -> bytes:
        self.out += bytes(4) + identifier
        self.waiting.append((0, "table", root, None))
        while self.waiting:
            place, form, value, field = self.waiting.popleft()
            position = getattr(self, "put_" + form)(value, field)
            _U32.pack_into(self.out, place, position - place)
        self.pad(4)
        if len(self.out) > MAX_FILE_BYTES:
            raise ModelFormatError(
                f"flatbuffer of {len(self.out)} bytes: at most {MAX_FILE_BYTES} possible"
            )
        return bytes(self.out)

    def pad(self, align: int, before: int = 0) -> None:
        """Fill up so that the position `before` bytes further is a multiple of `align`."""
        self.out += bytes(-(len(self.out) + before) % align)

    def put_table(self, record: Record, _field: Field | None) -> int:
        if record.unread_slots:
            raise ModelFormatError(
                f"table {record.table} has fields of a newer schema (slots "
                f"{', '.join(map(str, record.unread_slots))}): it cannot be rewritten without loss"
            )
        cells = self.cells(record)
        places, size = _layout(cells)
        vtable = self.put_vtable(places, size)
        self.pad(max([4, *(width for _, width, _, _ in cells)]))
        position = len(self.out)
        self.out += bytes(size)
        _I32.pack_into(self.out, position, position - vtable)
        for slot, _, pack, value in cells:
            at = position + places[slot]
            if pack is not None:
                pack.pack_into(self.out, at, value)
            else:
                self.waiting.append((at, *value))
        return position

    def cells(self, record: Record) -> list[tuple[int, int, struct.Struct | None, object]]:
        """(slot, width, pack, value) of each present field; pack is None for references."""
        cells = []
        for field in record._type.fields:
            value = getattr(record, field.name)
            if value is None:
                continue
            if field.form == "scalar":
                if value != field.default:
                    pack = _PACK[field.type]
                    cells.append((field.slot, pack.size, pack, value))
                continue
            form = field.form
            if form == "union":
                cells.append((field.slot - 1, 1, _PACK["ubyte"], self.member(value, field)))
                form = "table"
            cells.append((field.slot, 4, None, (form, value, field)))
        return cells

    def member(self, value: Record | UnknownUnion, field: Field) -> int:
        if isinstance(value, UnknownUnion):
            raise ModelFormatError(
                f"{field.name} of type {value.code} is of a newer schema: "
                "it cannot be rewritten without loss"
            )
        return self.schema.unions[field.type].index(value.table)

    def put_vtable(self, places: dict[int, int], size: int) -> int:
        slots = range(max(places) + 1) if places else ()
        entries = [places.get(slot, 0) for slot in slots]
        raw = struct.pack(f"<{len(entries) + 2}H", 4 + 2 * len(entries), size, *entries)
        if raw not in self.vtables:
            self.pad(2)
            self.vtables[raw] = len(self.out)
            self.out += raw
        return self.vtables[raw]

    def put_string(self, text: str, _field: Field | None) -> int:
        raw = text.encode("utf-8", "replace")
        self.pad(4)
        position = len(self.out)
        self.out += _U32.pack(len(raw)) + raw + b"\0"
        return position

    def put_scalars(self, values: np.ndarray, field: Field) -> int:
        values = np.ascontiguousarray(values, _SCALARS[field.type])
        self.pad(4)
        self.pad(max(4, field.align), before=4)
        position = len(self.out)
        self.out += _U32.pack(values.size) + values.tobytes()
        return position

    def put_references(self, values: list, form: str) -> int:
        self.pad(4)
        position = len(self.out)
        self.out += _U32.pack(len(values)) + bytes(4 * len(values))
        for i, value in enumerate(values):
            self.waiting.append((position + 4 + 4 * i, form, value, None))
        return position

    def put_tables(self, values: list, _field: Field) -> int:
        return self.put_references(values, "table")

    def put_strings(self, values: list, _field: Field) -> int:
        return self.put_references(values, "string")


def _layout(cells) -> tuple[dict[int, int], int]:
    """Places of the fields in the table by slot, widest first so that none needs padding inside."""
    places = {}
    end = 4  # the distance to the vtable
    for slot, width, _, _ in sorted(cells, key=lambda cell: -cell[1]):
        end += -end % width
        places[slot] = end
        end += width
    return places, end
