"""What is in a .tflite file: the data behind `trecx inspect`, for any well-formed file."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from trecx.errors import CutError, InputError
from trecx.ir import ops
from trecx.ir.graph import Graph
from trecx.tflite.cut import CutPoint, cut_points
from trecx.tflite.dataflow import Dataflow
from trecx.tflite.flatbuffer import Record, UnknownUnion
from trecx.tflite.importer import graph_from_model, read_graph, unsupported_operators
from trecx.tflite.link import is_cascade, unlink
from trecx.tflite.model import (
    indices,
    operator_kind,
    read_model,
    tensor_bytes,
    tensor_data,
    tensor_shape,
    tensor_type,
)


@dataclass(frozen=True)
class TensorInfo:
    """A tensor. scales, zero_points: empty when not quantised; one, or one for each channel along
    `axis`. constant: its values are in the file."""

    index: int
    name: str
    type: str
    shape: tuple[int, ...]
    nbytes: int
    constant: bool
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int


@dataclass(frozen=True)
class OperatorInfo:
    """An operator; inputs and outputs are tensor numbers, -1 an absent input.

    macs, parameters: None when the subgraph cannot be imported. options: as in the file.
    """

    index: int
    kind: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict
    supported: bool
    macs: int | None
    parameters: int | None


@dataclass(frozen=True)
class SubgraphInfo:
    """A subgraph. unsupported: why trecx cannot compile it, or None. peak_activation_bytes: the
    most bytes of activations alive at one operator, a lower bound of the arena."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    tensors: tuple[TensorInfo, ...]
    operators: tuple[OperatorInfo, ...]
    macs: int | None
    parameters: int | None
    peak_activation_bytes: int
    unsupported: str | None
    cut_points: tuple[CutPoint, ...]


@dataclass(frozen=True)
class Inspection:
    """A file. weight_bytes: of all constants. signatures: key -> names of inputs and outputs.

    is_cascade: made by `trecx.tflite.link`; exit_policies: those in it, when this version can
    take it apart and so compile it; then nothing in it counts as unsupported.
    """

    file_bytes: int
    description: str
    weight_bytes: int
    is_cascade: bool
    exit_policies: tuple[dict, ...]
    signatures: dict[str, dict[str, list[str]]]
    subgraphs: tuple[SubgraphInfo, ...]

    def to_json(self) -> dict:
        """As JSON-able dictionaries and lists."""
        return asdict(self)


def inspect_model(source: str | os.PathLike | bytes) -> Inspection:
    """Describe a .tflite file. Raises ModelFormatError when it is not well-formed."""
    model = read_model(source)
    data = Path(source).read_bytes() if isinstance(source, (str, os.PathLike)) else source
    policies, segments = _cascade(model, data)
    return Inspection(
        file_bytes=len(data),
        description=model.description or "",
        weight_bytes=sum(0 if b.data is None else b.data.size for b in model.buffers),
        is_cascade=is_cascade(model),
        exit_policies=policies,
        signatures={
            s.signature_key or "": {
                "inputs": [entry.name for entry in s.inputs or []],
                "outputs": [entry.name for entry in s.outputs or []],
            }
            for s in model.signature_defs
        },
        subgraphs=tuple(_subgraph(model, i, segments) for i in range(len(model.subgraphs))),
    )


def _cascade(model: Record, data: bytes) -> tuple[tuple[dict, ...], dict[str, Graph]]:
    """Policies of a cascade, and by subgraph name the segment with which it begins."""
    try:
        parts, policies = unlink(data) if is_cascade(model) else ([], [])
    except InputError:
        return (), {}
    names = ["main", *(f"segment_{k}" for k in range(1, len(parts)))]
    return tuple(policies), dict(zip(names, map(read_graph, parts), strict=False))


def _subgraph(model: Record, index: int, segments: dict[str, Graph]) -> SubgraphInfo:
    """segments: of a cascade, which is supported whatever one subgraph looks like; else empty."""
    subgraph = model.subgraphs[index]
    understood = bool(segments)
    graph, reason = (segments.get(subgraph.name), None) if segments else _import(model, index)
    by_index = {} if graph is None else {op.index: op for op in graph.operators}
    bad = set() if understood else {i for i, _ in unsupported_operators(model, subgraph)}
    operators = []
    for i, record in enumerate(subgraph.operators):
        op = by_index.get(i)
        operators.append(
            OperatorInfo(
                index=i,
                kind=operator_kind(model, record),
                version=model.operator_codes[record.opcode_index].version,
                inputs=tuple(indices(record.inputs)),
                outputs=tuple(indices(record.outputs)),
                options=_options(record),
                supported=i not in bad,
                macs=None if op is None else ops.macs(op),
                parameters=None if op is None else ops.parameters(op),
            )
        )
    return SubgraphInfo(
        name=subgraph.name or "",
        inputs=tuple(indices(subgraph.inputs)),
        outputs=tuple(indices(subgraph.outputs)),
        tensors=tuple(_tensor(model, t, i) for i, t in enumerate(subgraph.tensors)),
        operators=tuple(operators),
        macs=None if graph is None else sum(map(ops.macs, graph.operators)),
        parameters=None if graph is None else sum(map(ops.parameters, graph.operators)),
        peak_activation_bytes=peak_activation_bytes(Dataflow.of_subgraph(model, subgraph)),
        unsupported=reason,
        cut_points=() if understood else _points(graph),
    )


def _import(model: Record, index: int) -> tuple[Graph | None, str | None]:
    try:
        return graph_from_model(model, index), None
    except InputError as error:
        return None, str(error)


def _points(graph: Graph | None) -> tuple[CutPoint, ...]:
    try:
        return () if graph is None else tuple(cut_points(graph))
    except CutError:
        return ()


def _options(record: Record) -> dict:
    options = record.builtin_options
    if options is None or isinstance(options, UnknownUnion):
        return {}
    values = {name: getattr(options, name) for name in options.fields()}
    return {k: v.tolist() if hasattr(v, "tolist") else v for k, v in values.items()}


def _tensor(model: Record, record: Record, index: int) -> TensorInfo:
    quant = record.quantization
    scales = () if quant is None or quant.scale is None else tuple(map(float, quant.scale))
    zeros = () if quant is None or quant.zero_point is None else tuple(map(int, quant.zero_point))
    return TensorInfo(
        index=index,
        name=record.name or "",
        type=tensor_type(record),
        shape=tensor_shape(record),
        nbytes=tensor_bytes(record),
        constant=tensor_data(model, record) is not None,
        scales=scales,
        zero_points=zeros,
        axis=0 if quant is None else quant.quantized_dimension,
    )


def peak_activation_bytes(flow: Dataflow) -> int:
    """The most bytes of tensors that are alive while one operator runs.

    A tensor lives from its producer to its last reader; the subgraph's outputs to the end.
    """
    end = len(flow.reads)
    last = {t: op for op, read in enumerate(flow.reads) for t in read}
    last.update((t, end) for t in flow.outputs)
    dying: dict[int, list[int]] = {}
    for tensor in [*flow.inputs, *flow.producer]:
        dying.setdefault(last.get(tensor, flow.producer.get(tensor, 0)), []).append(tensor)
    alive = peak = sum(flow.nbytes[t] for t in flow.inputs)
    for op in range(end):
        alive += sum(flow.nbytes[t] for t in flow.writes[op])
        peak = max(peak, alive)
        alive -= sum(flow.nbytes[t] for t in dying.get(op, ()))
    return peak
