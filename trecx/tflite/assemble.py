"""Builds a model file out of pieces of others: whole subgraphs, or some operators of one.

Buffers and operator codes are renumbered and kept once: equal constants share a buffer, also
between subgraphs.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from trecx.errors import CutError
from trecx.ir.graph import QuantParams
from trecx.tflite import schema
from trecx.tflite.flatbuffer import Record
from trecx.tflite.model import (
    SUBGRAPH_FIELDS,
    code_name,
    indices,
    new_operator_code,
    write_model,
)

# The other kinds of metadata hold tensor numbers or describe the file as it was.
_KEPT_METADATA = "min_runtime_version"


class Assembler:
    """Collects subgraphs, buffers, operator codes and signatures of a new model."""

    def __init__(self, description: str):
        self.description = description
        self.subgraphs: list[SubgraphAssembler] = []
        self.signatures: list[Record] = []
        self.metadata: dict[str, int] = {}
        self.codes: list[Record] = []
        self._code_places: dict[tuple[str, int], int] = {}
        self._buffers: dict[bytes, int] = {b"": 0}  # buffer 0 is empty by convention
        self._copied: dict[tuple[Record, int], int] = {}

    def subgraph(self, name: str) -> SubgraphAssembler:
        """Begin a new subgraph."""
        self.subgraphs.append(SubgraphAssembler(self, name, len(self.subgraphs)))
        return self.subgraphs[-1]

    def buffer(self, data: np.ndarray | bytes | None) -> int:
        raw = b"" if data is None else bytes(data)
        return self._buffers.setdefault(raw, len(self._buffers))

    def copy_buffer(self, model: Record, index: int) -> int:
        """Take over a buffer of another model; one that many tensors share is looked at once."""
        if (model, index) not in self._copied:
            self._copied[model, index] = self.buffer(model.buffers[index].data)
        return self._copied[model, index]

    def code(self, code: Record) -> int:
        key = (code_name(code), code.version)
        if key not in self._code_places:
            self._code_places[key] = len(self.codes)
            self.codes.append(code.copy())
        return self._code_places[key]

    def keep_metadata(self, model: Record) -> None:
        """Take over from `model` what stays true: the runtime version it needs."""
        for entry in model.metadata:
            if entry.name == _KEPT_METADATA:
                self.metadata[entry.name] = self.buffer(model.buffers[entry.buffer].data)

    def signature(self, subgraph: int, inputs: dict[str, int], outputs: dict[str, int]) -> None:
        """Give the inputs and outputs of a subgraph names that applications can ask for."""
        entries = [
            [schema.new("TensorMap", name=name, tensor_index=t) for name, t in names.items()]
            for names in (inputs, outputs)
        ]
        self.signatures.append(
            schema.new(
                "SignatureDef",
                inputs=entries[0],
                outputs=entries[1],
                signature_key="serving_default",
                subgraph_index=subgraph,
            )
        )

    def model(self) -> bytes:
        """The bytes of the assembled .tflite file."""
        return write_model(self.record())

    def record(self) -> Record:
        """The assembled model."""
        subgraphs = [s.record() for s in self.subgraphs]
        metadata = [
            schema.new("Metadata", name=name, buffer=place) for name, place in self.metadata.items()
        ]
        buffers = [
            schema.new("Buffer", data=np.frombuffer(raw, np.uint8) if raw else None)
            for raw in self._buffers
        ]
        return schema.new(
            "Model",
            version=schema.VERSION,
            description=self.description,
            operator_codes=self.codes,
            subgraphs=subgraphs,
            buffers=buffers,
            metadata=metadata,
            signature_defs=self.signatures,
        )


class SubgraphAssembler:
    """One subgraph under construction. Tensors are numbers; operators run in the order added."""

    def __init__(self, owner: Assembler, name: str, index: int):
        self.owner = owner
        self.name = name
        self.index = index
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.tensors: list[Record] = []
        self.operators: list[Record] = []

    def tensor(
        self,
        name: str,
        kind: str,
        shape: tuple[int, ...],
        quant: QuantParams | Record | None = None,
        data: np.ndarray | None = None,
    ) -> int:
        """Add a tensor of element type `kind` ("INT8"); `data` makes it a constant."""
        if isinstance(quant, QuantParams):
            quant = schema.new(
                "QuantizationParameters",
                scale=np.asarray(quant.scale, np.float32),
                zero_point=np.asarray(quant.zero_point, np.int64),
                quantized_dimension=quant.axis,
            )
        self.tensors.append(
            schema.new(
                "Tensor",
                name=name,
                type=schema.TENSOR_TYPE_CODE[kind],
                shape=np.array(shape, np.int32),
                buffer=self.owner.buffer(None if data is None else data.tobytes()),
                quantization=quant,
                has_rank=True,
            )
        )
        return len(self.tensors) - 1

    def copy_tensor(self, model: Record, tensor: Record) -> int:
        """Add a copy of a tensor of another model, with its data and quantisation."""
        buffer = self.owner.copy_buffer(model, tensor.buffer)
        self.tensors.append(tensor.copy(buffer=buffer))
        return len(self.tensors) - 1

    def operator(
        self,
        kind: str,
        version: int,
        inputs: Iterable[int],
        outputs: Iterable[int],
        options: Record | None = None,
    ) -> None:
        self.operators.append(
            schema.new(
                "Operator",
                opcode_index=self.owner.code(new_operator_code(kind, version)),
                inputs=np.array(list(inputs), np.int32),
                outputs=np.array(list(outputs), np.int32),
                builtin_options=options,
            )
        )

    def copy_operators(
        self,
        model: Record,
        source: Record,
        operators: Iterable[int],
        places: dict[int, int],
    ) -> None:
        """Add copies of some operators of subgraph `source` of `model`, and the tensors they use.

        places: numbers that tensors of `source` already have here; extended with the rest.
        """

        def place(index: int) -> int:
            if index != -1 and index not in places:
                places[index] = self.copy_tensor(model, source.tensors[index])
            return places.get(index, -1)

        for number in operators:
            old = source.operators[number]
            if getattr(old.builtin_options, "table", "") in SUBGRAPH_FIELDS:
                raise CutError(
                    f"operator {number} runs another subgraph ({old.builtin_options.table}): "
                    "such a model cannot be taken apart"
                )
            new = old.copy(
                opcode_index=self.owner.code(model.operator_codes[old.opcode_index]),
                debug_metadata_index=-1,
            )
            for name in ("inputs", "outputs", "intermediates"):
                vector = getattr(old, name)
                if vector is not None:
                    setattr(new, name, np.array([place(i) for i in indices(vector)], np.int32))
            self.operators.append(new)

    def record(self) -> Record:
        return schema.new(
            "SubGraph",
            name=self.name,
            tensors=self.tensors,
            inputs=np.array(self.inputs, np.int32),
            outputs=np.array(self.outputs, np.int32),
            operators=self.operators,
        )
