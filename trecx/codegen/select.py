"""Choose one kernel for every operator of a chain, under the weight policy."""

from __future__ import annotations

from dataclasses import replace

from trecx.codegen.lowering import (
    Candidate,
    Lowered,
    LoweringOptions,
    Optimize,
    candidates,
    require_possible,
)
from trecx.codegen.views import Views
from trecx.errors import BudgetError
from trecx.ir.graph import Graph, Operator, Tensor

BALANCED_SLACK = 1.05  # packed weights may exceed the int8 weights by padding
BYTE_PRICE = 500  # instructions that one byte of constants is worth when flash is short
SMALL_TABLE_BYTES = 1536  # tables below this are not "widened weights"


def lower_chain(
    graphs: list[Graph],
    views: list[Views],
    options: LoweringOptions,
    cache: dict | None = None,
) -> list[list[Lowered]]:
    """Lower every operator; raises UnsupportedModelError when one has no kernel.

    Operators that are views have no steps. cache: what an earlier call with the same options found
    for the same operators; filled here.
    """
    cache = {} if cache is None else cache
    chain = [
        [_cached(op, options, id(op) in found.elided, cache) for op in graph.operators]
        for graph, found in zip(graphs, views, strict=True)
    ]
    if options.optimize is Optimize.SPEED and options.flash_budget is not None:
        _respect_budget([low for segment in chain for low in segment], options.flash_budget)
    return chain


def _cached(op: Operator, options: LoweringOptions, elided: bool, cache: dict) -> Lowered:
    """As `_lower`; operators that differ in their activation tensors alone are lowered once."""
    key = (_structure(op), elided)
    if key not in cache:
        cache[key] = _lower(op, options, elided)  # keeps the operator, so that all ids stay taken
    return _moved(cache[key], op)


def _structure(op: Operator) -> tuple:
    """What the lowering of an operator depends on."""
    tensors = [
        t if t is None else (id(t) if t.is_constant else (t.shape, t.dtype, _quant_key(t)))
        for t in (*op.inputs, *op.outputs)
    ]
    same = [i for i, t in enumerate(op.inputs) if any(t is other for other in op.inputs[:i])]
    return op.kind, op.attrs, tuple(tensors), tuple(same)


def _quant_key(tensor: Tensor) -> tuple | None:
    q = tensor.quant
    return None if q is None else (q.scale.tobytes(), q.zero_point.tobytes(), q.axis)


def _moved(low: Lowered, op: Operator) -> Lowered:
    """The same choice for another operator of the same structure."""
    old = low.operator
    new = {
        id(a): b
        for a, b in zip((*old.inputs, *old.outputs), (*op.inputs, *op.outputs), strict=True)
    }
    candidates = {id(c): _moved_candidate(c, new) for c in low.candidates}
    return Lowered(op, candidates[id(low.chosen)], list(candidates.values()))


def _moved_candidate(candidate: Candidate, new: dict[int, Tensor]) -> Candidate:
    if candidate.steps is None:
        return candidate
    steps = [
        replace(
            step,
            inputs=tuple(new.get(id(t), t) for t in step.inputs),
            outputs=tuple(new.get(id(t), t) for t in step.outputs),
        )
        for step in candidate.steps
    ]
    return replace(candidate, steps=steps)


def _lower(op: Operator, options: LoweringOptions, elided: bool) -> Lowered:
    if elided:
        view = Candidate(options.isa, "view", [])
        return Lowered(op, view, [view])
    found = candidates(op, options.isa)
    possible = require_possible(op, found)
    if options.optimize is Optimize.SIZE:
        # Widened weights would bring along kernels of their own, whose code has no price here.
        chosen = min(
            possible, key=lambda c: (c.widened, c.instructions + BYTE_PRICE * c.flash_bytes)
        )
    elif options.optimize is Optimize.BALANCED:
        chosen = min(
            possible, key=lambda c: (c.widened or c.flash_bytes > _allowed(op), c.instructions)
        )
    else:
        chosen = min(possible, key=lambda c: c.instructions)
    return Lowered(op, chosen, found)


def _allowed(op: Operator) -> float:
    """Bytes of constants an operator may use when weights stay at their int8 size."""
    weights = sum(t.nbytes for t in op.inputs[1:] if t is not None and t.is_constant)
    channels = op.output.shape[-1] if op.output.shape else 1
    requantisation = 12 * (channels + 4)  # multiplier, shift and folded offset of each channel
    return BALANCED_SLACK * weights + requantisation + SMALL_TABLE_BYTES


def _respect_budget(lowered: list[Lowered], budget: int) -> None:
    """Give back the widened weights that save least per byte until the total fits.

    Raises BudgetError when it never does.
    """
    total = sum(low.chosen.flash_bytes for low in lowered)
    while total > budget:
        best = None
        for low in lowered:
            for other in low.candidates:
                saved = low.chosen.flash_bytes - other.flash_bytes if other.steps is not None else 0
                if saved <= 0:
                    continue
                price = (other.instructions - low.chosen.instructions) / saved
                if best is None or price < best[0]:
                    best = (price, low, other, saved)
        if best is None:
            raise BudgetError(
                f"the constants of this model need at least {total:,} bytes, "
                f"more than the flash budget of {budget:,}"
            )
        _, low, other, saved = best
        low.chosen = other
        total -= saved
