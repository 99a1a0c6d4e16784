"""Reading and writing .tflite files as a tree of records, with every reference checked.

The tree is the file, table by table (see `trecx.tflite.schema`). Cutting, linking and inspection
work on it, so they keep what the compiler does not understand; the compiler itself reads a `Graph`
through `trecx.tflite.importer`.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from trecx.errors import ModelFormatError
from trecx.tflite import flatbuffer, schema
from trecx.tflite.flatbuffer import Record

# Bytes of one element; types without an entry are packed (INT4), variable (STRING) or opaque.
ITEM_BYTES = {
    "FLOAT32": 4,
    "FLOAT16": 2,
    "INT32": 4,
    "UINT8": 1,
    "INT64": 8,
    "BOOL": 1,
    "INT16": 2,
    "COMPLEX64": 8,
    "INT8": 1,
    "FLOAT64": 8,
    "COMPLEX128": 16,
    "UINT64": 8,
    "UINT32": 4,
    "UINT16": 2,
    "BFLOAT16": 2,
}

# No tensor of a model for a microcontroller comes near these.
_MAX_ELEMENTS = 2**40
_MAX_RANK = 8

# Options that name other subgraphs, and the fields that do.
SUBGRAPH_FIELDS = {
    "IfOptions": ("then_subgraph_index", "else_subgraph_index"),
    "WhileOptions": ("cond_subgraph_index", "body_subgraph_index"),
    "CallOnceOptions": ("init_subgraph_index",),
    "CallOptions": ("subgraph",),
}

# The byte of an old-style operator code that says "look at the wide field".
_WIDE_CODE = 127


def read_model(source: str | os.PathLike | bytes) -> Record:
    """The `Model` record of a .tflite file, given as a path or as its bytes.

    Byte vectors are views of the file's bytes, not copies. Buffers stored behind the flatbuffer are
    found too. Raises ModelFormatError when the file is missing, is not a flatbuffer of this
    format, or when an index in it leads nowhere.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read(bytes(source))
    path = Path(source)
    try:
        return _read(path.read_bytes())
    except OSError as error:
        raise ModelFormatError(f"cannot read model {path}: {error.strerror or error}") from None
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from None


def write_model(model: Record) -> bytes:
    """The bytes of a .tflite file. Deterministic; raises ModelFormatError as `flatbuffer.write`."""
    return flatbuffer.write(model, schema.SCHEMA, schema.IDENTIFIER)


def _read(data: bytes) -> Record:
    model = flatbuffer.read(data, schema.SCHEMA, "Model", schema.IDENTIFIER)
    _check(model, data)
    return model


# --- What the records mean ---


def operator_kind(model: Record, operator: Record) -> str:
    """Name of the operator, e.g. "CONV_2D"; custom operators are "CUSTOM:name"."""
    code = model.operator_codes[operator.opcode_index]
    return code_name(code)


def code_name(code: Record) -> str:
    """Name of an operator code, from whichever of its two fields (old and new) holds it."""
    number = max(code.builtin_code, code.deprecated_builtin_code)
    if not 0 <= number < len(schema.OPERATORS):
        return f"OPERATOR_{number}"
    name = schema.OPERATORS[number]
    # The name comes from the file: repr, so that it cannot break an error message's line.
    return "CUSTOM:" + repr(code.custom_code or "")[1:-1] if name == "CUSTOM" else name


def new_operator_code(kind: str, version: int) -> Record:
    """An operator code that old and new readers understand."""
    number = schema.OPERATOR_CODE[kind]
    return schema.new(
        "OperatorCode",
        deprecated_builtin_code=min(number, _WIDE_CODE),
        builtin_code=number,
        version=version,
    )


def tensor_type(tensor: Record) -> str:
    """Name of the element type, e.g. "INT8"."""
    return schema.TENSOR_TYPES[tensor.type]


def tensor_shape(tensor: Record) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(d) for d in tensor.shape)


def tensor_bytes(tensor: Record) -> int:
    """Bytes of the tensor's values; packed and opaque types count a byte an element."""
    return math.prod(tensor_shape(tensor)) * ITEM_BYTES.get(tensor_type(tensor), 1)


def tensor_data(model: Record, tensor: Record) -> np.ndarray | None:
    """The constant's bytes as a uint8 view; None for a tensor that is computed."""
    data = model.buffers[tensor.buffer].data
    return data if data is not None and data.size else None


def is_given(model: Record, tensor: Record) -> bool:
    """True when no operator needs to produce the tensor: a constant, a variable, or empty."""
    if tensor.is_variable or tensor_data(model, tensor) is not None:
        return True
    return math.prod(tensor_shape(tensor)) == 0


def indices(vector: np.ndarray | None) -> list[int]:
    """A vector of indices as Python integers; an absent vector is empty."""
    return [] if vector is None else [int(i) for i in vector]


# --- Checks ---


def _check(model: Record, data: bytes) -> None:
    if model.version != schema.VERSION:
        raise ModelFormatError(
            f"schema version {model.version} found, version {schema.VERSION} expected"
        )
    if not model.subgraphs:
        raise ModelFormatError("the model has no subgraph")
    for name in ("operator_codes", "buffers", "metadata", "signature_defs"):
        if getattr(model, name) is None:
            setattr(model, name, [])
    for number, buffer in enumerate(model.buffers):
        _resolve_buffer(number, buffer, data)
    for number, subgraph in enumerate(model.subgraphs):
        _check_subgraph(model, subgraph, f"subgraph {number}")
    for entry in model.metadata:
        _check_index(entry.buffer, len(model.buffers), f"buffer of metadata {entry.name!r}")
    for signature in model.signature_defs:
        _check_signature(model, signature)


def _resolve_buffer(number: int, buffer: Record, data: bytes) -> None:
    """Make `data` of a buffer that lies outside the flatbuffer a view like that of any other."""
    if buffer.offset <= 1:
        return
    if buffer.offset + buffer.size > len(data):
        raise ModelFormatError(
            f"buffer {number} claims {buffer.size} bytes at offset {buffer.offset}, "
            f"the file has {len(data)}"
        )
    buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
    buffer.offset = buffer.size = 0


def _check_index(value: int, count: int, what: str) -> None:
    if not 0 <= value < count:
        raise ModelFormatError(f"{what} is {value}, 0..{count - 1} possible")


def _check_subgraph(model: Record, subgraph: Record, where: str) -> None:
    subgraph.tensors = subgraph.tensors or []
    subgraph.operators = subgraph.operators or []
    for number, tensor in enumerate(subgraph.tensors):
        _check_tensor(model, tensor, f"tensor {number} of {where}")
    count = len(subgraph.tensors)
    for name in ("inputs", "outputs"):
        for index in indices(getattr(subgraph, name)):
            _check_index(index, count, f"one of the {name} of {where}")
    for number, operator in enumerate(subgraph.operators):
        _check_operator(model, operator, count, f"operator {number} of {where}")
    _check_order(model, subgraph, where)


def _check_tensor(model: Record, tensor: Record, where: str) -> None:
    where = f"{where} ({tensor.name!r})"
    _check_index(tensor.type, len(schema.TENSOR_TYPES), f"type of {where}")
    _check_index(tensor.buffer, len(model.buffers), f"buffer of {where}")
    shape = tensor_shape(tensor)
    if len(shape) > _MAX_RANK:
        raise ModelFormatError(f"{where} has {len(shape)} dimensions, at most {_MAX_RANK} expected")
    if any(d < 0 for d in shape) or math.prod(shape) > _MAX_ELEMENTS:
        raise ModelFormatError(f"shape of {where} is {list(shape)}: not possible")
    data = tensor_data(model, tensor)
    item = ITEM_BYTES.get(tensor_type(tensor))
    if data is None or item is None or tensor.sparsity is not None:
        return
    if data.size != math.prod(shape) * item:
        raise ModelFormatError(
            f"data of {where} is {data.size} bytes, shape {list(shape)} of {tensor_type(tensor)} "
            f"needs {math.prod(shape) * item}"
        )


def _check_operator(model: Record, operator: Record, tensors: int, where: str) -> None:
    _check_index(operator.opcode_index, len(model.operator_codes), f"operator code of {where}")
    for name in ("inputs", "outputs", "intermediates"):
        for index in indices(getattr(operator, name)):
            if index != -1 or name == "outputs":
                _check_index(index, tensors, f"one of the {name} of {where}")
    options = operator.builtin_options
    for name in SUBGRAPH_FIELDS.get(getattr(options, "table", ""), ()):
        _check_index(getattr(options, name), len(model.subgraphs), f"{name} of {where}")


def _check_order(model: Record, subgraph: Record, where: str) -> None:
    """Operators stand in execution order, and no tensor is written twice."""
    ready = set(indices(subgraph.inputs))
    ready.update(i for i, t in enumerate(subgraph.tensors) if is_given(model, t))
    written = set(indices(subgraph.inputs))
    for number, operator in enumerate(subgraph.operators):
        what = f"operator {number} ({operator_kind(model, operator)}) of {where}"
        for index in indices(operator.inputs):
            if index != -1 and index not in ready:
                raise ModelFormatError(
                    f"{what} reads tensor {index} ({subgraph.tensors[index].name!r}), "
                    "which nothing has produced: a cycle, or a dangling tensor"
                )
        for index in indices(operator.outputs):
            if index in written:
                raise ModelFormatError(f"{what} writes tensor {index}, which is written already")
            written.add(index)
            ready.add(index)
    for index in indices(subgraph.outputs):
        if index not in ready:
            raise ModelFormatError(
                f"output tensor {index} ({subgraph.tensors[index].name!r}) of {where} "
                "is produced by no operator"
            )


def _check_signature(model: Record, signature: Record) -> None:
    where = f"signature {signature.signature_key!r}"
    _check_index(signature.subgraph_index, len(model.subgraphs), f"subgraph of {where}")
    count = len(model.subgraphs[signature.subgraph_index].tensors)
    for entry in [*(signature.inputs or []), *(signature.outputs or [])]:
        _check_index(entry.tensor_index, count, f"tensor of {entry.name!r} in {where}")
