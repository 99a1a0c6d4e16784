"""The flatbuffer reader and writer, against LiteRT's generated object API and damaged files."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as litert

from trecx.errors import ModelFormatError
from trecx.tflite import schema
from trecx.tflite.flatbuffer import Record, Schema, UnknownUnion, read, write
from trecx.tflite.model import read_model, write_model

DATA = Path(__file__).parent / "data"
MODELS = sorted(DATA.glob("*.tflite"))
# LiteRT's classes for fields that a union of ours leaves out.
LEFT_OUT = {"builtin_options2", "external_buffer_groups", "external_buffers"}


def camel(name: str) -> str:
    """Our field name as the generated class spells it: stride_w -> strideW."""
    return re.sub(r"_([a-z0-9])", lambda m: m.group(1).upper(), name)


def same(ours, theirs) -> bool:
    """Compare a value of ours with one of the generated object API, all the way down."""
    if isinstance(ours, Record):
        return theirs is not None and all(
            same(getattr(ours, name), getattr(theirs, camel(name)))
            for name in ours.fields()
            if name not in LEFT_OUT
        )
    if isinstance(ours, list):
        theirs = [] if theirs is None else theirs
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, np.ndarray):
        return np.array_equal(ours, [] if theirs is None else np.asarray(theirs))
    if isinstance(ours, str):
        return ours.encode() == (theirs or b"")
    return ours == theirs


def raw_read(data: bytes) -> Record:
    return read(data, schema.SCHEMA, "Model", schema.IDENTIFIER)


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_reads_what_the_generated_api_reads(path):
    data = path.read_bytes()
    assert same(raw_read(data), litert.ModelT.InitFromPackedBuf(data, 0))


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_generated_api_reads_what_we_write(path):
    model = raw_read(path.read_bytes())
    again = write(model, schema.SCHEMA, schema.IDENTIFIER)
    assert same(model, litert.ModelT.InitFromPackedBuf(again, 0))
    assert write(raw_read(again), schema.SCHEMA, schema.IDENTIFIER) == again
    assert len(again) <= 1.02 * len(path.read_bytes())


def filled(name: str, random: np.random.Generator, depth: int = 0) -> Record:
    """A record with a value other than the default in every field."""
    record = schema.new(name)
    for field in schema.SCHEMA.table(name).fields:
        if field.name in LEFT_OUT or field.form == "union":
            continue
        if field.form == "scalar":
            number = {"float": 2.5, "bool": not field.default}.get(field.type)
            value = int(random.integers(3, 100)) if number is None else number
        elif field.form == "scalars":
            value = random.integers(0, 2, 3).astype(np.int64)
        elif field.form == "string":
            value = "name é"
        elif depth == 2:
            continue
        elif field.form == "table":
            value = filled(field.type, random, depth + 1)
        else:
            value = [filled(field.type, random, depth + 1) for _ in range(2)]
        setattr(record, field.name, value)
    return record


def test_every_table_has_the_generated_apis_fields():
    """Each options table, filled, is read back by the generated API with the same values."""
    random = np.random.default_rng(0)
    members = schema.SCHEMA.unions["BuiltinOptions"]
    codes = {v: k for k, v in vars(litert.BuiltinOptions).items() if not k.startswith("_")}
    assert len(members) == len(codes)
    for code, name in enumerate(members[1:], start=1):
        assert codes[code] == name
        model = filled("Model", random)
        options = filled(name, random)
        model.subgraphs[0].operators = [schema.new("Operator", builtin_options=options)]
        theirs = litert.ModelT.InitFromPackedBuf(write_model(model), 0)
        found = theirs.subgraphs[0].operators[0].builtinOptions
        assert type(found).__name__ == name + "T"
        assert same(options, found), name
        slots = [k for k in vars(found) if not k.startswith("_")]
        assert {camel(n) for n in options.fields()} == set(slots), name


def test_every_core_table_survives():
    random = np.random.default_rng(1)
    model = filled("Model", random)
    theirs = litert.ModelT.InitFromPackedBuf(write_model(model), 0)
    assert same(model, theirs)
    assert same(raw_read(write_model(model)), theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(schema.OPERATORS, litert.BuiltinOperator), (schema.TENSOR_TYPES, litert.TensorType)],
    ids=["operators", "tensor types"],
)
def test_enumerations(ours, theirs):
    names = {v: k for k, v in vars(theirs).items() if not k.startswith("_")}
    assert names == dict(enumerate(ours))


def test_constants_are_views_of_the_file():
    data = MODELS[0].read_bytes()
    model = raw_read(data)
    whole = np.frombuffer(data, np.uint8)
    shared = [np.shares_memory(b.data, whole) for b in model.buffers if b.data is not None]
    assert shared and all(shared)


def test_weights_are_aligned_when_written():
    data = write_model(read_model(MODELS[0]))
    start = np.frombuffer(data, np.uint8).ctypes.data
    for buffer in raw_read(data).buffers:
        if buffer.data is not None:
            assert (buffer.data.ctypes.data - start) % 16 == 0


# --- Damaged files ---


def table(*fields: tuple[int, bytes], size: int | None = None) -> bytes:
    """A vtable and its table; fields are (place or 0, bytes), 4 bytes each."""
    places = [place for place, _ in fields]
    body = b"".join(raw for place, raw in fields if place)
    vtable = struct.pack(
        f"<{2 + len(places)}H", 4 + 2 * len(places), size or 4 + len(body), *places
    )
    vtable += bytes(-len(vtable) % 4)
    return vtable + struct.pack("<i", len(vtable)) + body


def file_of(root_table: bytes, rest: bytes = b"") -> bytes:
    """A file whose root is `root_table` (as `table` makes it)."""
    vtable_size = struct.unpack_from("<H", root_table)[0]
    root = 8 + vtable_size + -vtable_size % 4
    return struct.pack("<I", root) + b"TFL3" + root_table + rest


NAMES = Schema({"Root": "items:[Item] name:string", "Item": "name:string"}, {})


def refusal(data: bytes, tables: Schema = NAMES) -> str:
    with pytest.raises(ModelFormatError) as caught:
        read(data, tables, "Root", b"TFL3")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_not_a_flatbuffer():
    assert "0 bytes" in refusal(b"")
    assert "7 bytes" in refusal(b"\0" * 7)
    assert "identifier b'ONNX'" in refusal(b"\x08\0\0\0ONNX" + bytes(20))
    assert "truncated" in refusal(b"\xff\xff\xff\xffTFL3" + bytes(20))


def test_vtable_outside_the_file():
    assert "vtable" in refusal(struct.pack("<I4si", 8, b"TFL3", 1000) + bytes(20))
    assert "vtable" in refusal(struct.pack("<I4si", 8, b"TFL3", -1000) + bytes(20))


def test_field_outside_its_table():
    assert "outside the table" in refusal(file_of(table((40, bytes(4)))))
    assert "outside the table" in refusal(file_of(table((2, bytes(4)))))


def test_vector_of_four_gigabytes():
    """A length near 2**32 is refused before anything of that size is made."""
    vector = struct.pack("<I", 4) + struct.pack("<I", 0xFFFFFFFF)
    data = file_of(table((4, vector[:4])), vector[4:])
    assert "4294967295 elements" in refusal(data)


def test_references_that_multiply():
    """Many references to one long vector: a small file that describes a huge tree."""
    count = 2000
    inner = table((4, struct.pack("<I", 4)))  # Item with a name that follows it
    name = struct.pack("<I", 1000) + b"x" * 1000
    vector = struct.pack("<I", count)
    root = table((4, struct.pack("<I", 4)))
    for i in range(count):
        to_item = 4 * (count - i) + struct.unpack_from("<H", inner)[0] + 2
        vector += struct.pack("<I", to_item)
    assert "overlap" in refusal(file_of(root, vector + inner + name))


def test_table_that_points_to_itself():
    """Offset 0 makes a vector of itself; references cannot form an endless descent."""
    nested = Schema({"Root": "child:Root"}, {})
    message = refusal(file_of(table((4, struct.pack("<i", -4)))), nested)
    assert "truncated" in message
    deep = Schema({"Root": "child:Root"}, {})
    assert refusal(file_of(table((4, struct.pack("<I", 0)))), deep)


def test_every_truncation_is_refused_or_read():
    data = (DATA / "learned_confidence.tflite").read_bytes()
    for size in [*range(0, 400), *range(400, len(data), 97)]:
        try:
            read_model(data[:size])
        except ModelFormatError:
            continue


def test_newer_fields_are_read_over_but_not_lost():
    """A field that the schema does not know is noticed, and nothing rewritten without it."""
    newer = Schema({"Root": "a:int b:int"}, {})
    older = Schema({"Root": "a:int"}, {})
    data = write(newer.new("Root", a=1, b=2), newer, b"TFL3")
    record = read(data, older, "Root", b"TFL3")
    assert record.a == 1
    assert record.unread_slots == (1,)
    with pytest.raises(ModelFormatError, match="newer schema"):
        write(record, older, b"TFL3")


def test_unknown_union_member():
    newer = Schema({"Root": "u:<U>", "A": "x:int", "B": "x:int"}, {"U": ("NONE", "A", "B")})
    older = Schema({"Root": "u:<U>", "A": "x:int"}, {"U": ("NONE", "A")})
    data = write(newer.new("Root", u=newer.new("B", x=3)), newer, b"TFL3")
    record = read(data, older, "Root", b"TFL3")
    assert record.u == UnknownUnion(2)
    with pytest.raises(ModelFormatError, match="type 2"):
        write(record, older, b"TFL3")


def test_records_refuse_unknown_names():
    with pytest.raises(AttributeError, match="no field 'strides'"):
        schema.new("Conv2DOptions", strides=1)
    with pytest.raises(AttributeError, match="no field 'strides'"):
        schema.new("Conv2DOptions").strides  # noqa: B018


def test_fields_of_eight_bytes_are_aligned():
    wide = Schema({"Root": "a:byte b:long c:short d:ulong"}, {})
    data = write(wide.new("Root", a=-3, b=-(2**40), c=7, d=2**63), wide, b"TFL3")
    record = read(data, wide, "Root", b"TFL3")
    assert (record.a, record.b, record.c, record.d) == (-3, -(2**40), 7, 2**63)
    assert data.index((2**63).to_bytes(8, "little")) % 8 == 0
