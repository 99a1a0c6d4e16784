"""What an exit's decision reads, so that the rest of the exit runs only where it is taken.

A policy is defined on the exit's output. Where the same decision can be taken on the tensor before
it, for every value of that tensor, the operators in between run only when the exit is taken:

- SOFTMAX and a threshold for each class. With fixed-point exponentials the largest probability
  depends on their sum alone and never rises with it, so `probability >= threshold` is `sum <=
  limit`. Classes of different thresholds must not share the largest probability, as the first of
  them would decide; that they cannot is proved from the table of exponentials.
- SOFTMAX of two classes: its output depends on the difference of the logits alone, of which there
  are 511. Any policy is tried on all of them; those that stop must lie beyond two limits.
- CONCATENATION with a learned confidence: it copies, so the confidence is read where it comes from.

That the largest probability never rises with the sum is a property of the arithmetic and not of a
model; tests/test_codegen_decision.py tries every sum of MOST_CLASSES exponentials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trecx.ir.graph import Graph, Operator, Tensor
from trecx.ir.interpreter.softmax import addends, probabilities, softmax
from trecx.ir.tables import softmax_exp_table
from trecx.policies import Confidence, DeviceCall, DevicePolicy, TopClassThresholds

MOST_CLASSES = 256
ON_SUM, ON_DIFFERENCE = "trecx_exit_softmax_sum", "trecx_exit_difference"
_DIFFERENCES = np.arange(-255, 256)


@dataclass(frozen=True, eq=False)
class ExitDecision:
    """How the generated code decides at an exit.

    call: the C call, None when there is no policy and the exit is never taken. reads: the tensor
    that it reads, None likewise. answer: ids of the operators that make the exit's output alone and
    run only where the exit is taken. fallback: why the output itself is read; None: it is not.
    """

    call: DeviceCall | None
    reads: Tensor | None
    answer: frozenset[int]
    fallback: str | None

    @property
    def on_logits(self) -> bool:
        """Whether the call is one of trecx/exit_logits.h."""
        return self.call is not None and self.call.function in (ON_SUM, ON_DIFFERENCE)


def find_decision(graph: Graph, policy: DevicePolicy | None) -> ExitDecision:
    """The decision of an exit whose segment is `graph`; InputError when the policy does not fit."""
    output = graph.outputs[0]
    if policy is None:
        return ExitDecision(None, None, _answer(graph, []), None)
    policy.validate(output.size)
    found = _before_output(graph.producer(output), policy)
    if isinstance(found, str):
        return ExitDecision(policy.device_call(output.size), output, frozenset(), found)
    reads, call = found
    return ExitDecision(call, reads, _answer(graph, [reads]), None)


def _answer(graph: Graph, read: list[Tensor]) -> frozenset[int]:
    """Ids of the operators that neither the decision nor a later segment needs."""
    needed: set[int] = set()
    wanted = [*read, *(graph.outputs[1:] or graph.outputs)]
    while wanted:
        op = graph.producer(wanted.pop())
        if op is not None and id(op) not in needed:
            needed.add(id(op))
            wanted += op.activation_inputs
    return frozenset(id(op) for op in graph.operators) - needed


def _before_output(op: Operator | None, policy) -> tuple[Tensor, DeviceCall] | str:
    """A tensor and the same decision on it; or why there is none."""
    kind = None if op is None else op.kind
    if kind == "CONCATENATION" and isinstance(policy, Confidence):
        return _on_confidence(op, policy)
    if kind != "SOFTMAX":
        return "it is not made by SOFTMAX, or CONCATENATION with a confidence"
    if op.output.size != op.output.shape[-1]:
        return "its SOFTMAX has several rows"
    call = (_on_difference if op.output.size == 2 else _on_sum)(op, policy)
    return call if isinstance(call, str) else (op.inputs[0], call)


def _on_confidence(op: Operator, policy: Confidence) -> tuple[Tensor, DeviceCall] | str:
    source = op.inputs[-1]
    if source.size != 1 or not source.quant.same_as(op.output.quant):
        return "the confidence is not a tensor of its own before CONCATENATION"
    return source, DeviceCall("trecx_exit_confidence", {}, (0, policy.limit))


def _on_difference(op: Operator, policy: DevicePolicy) -> DeviceCall | str:
    stops = policy.decide(softmax(op, _pairs()))
    # The longest runs of stops at both ends; whether there is a stop between them is seen below.
    low = -256 + (int(np.argmin(stops)) if not stops.all() else 0)
    high = 256 - (int(np.argmin(stops[::-1])) if not stops.all() else 511)
    if not np.array_equal(stops, (low >= _DIFFERENCES) | (high <= _DIFFERENCES)):
        return f"{policy.kind} does not stop beyond two differences of the logits"
    return DeviceCall(ON_DIFFERENCE, {}, (low, high))


def _pairs() -> np.ndarray:
    """Two logits of every difference: int8 (511, 2)."""
    first = np.maximum(_DIFFERENCES, 0) - 128
    return np.stack([first, first - _DIFFERENCES], axis=-1).astype(np.int8)


def _on_sum(op: Operator, policy: DevicePolicy) -> DeviceCall | str:
    classes = op.output.size
    if not isinstance(policy, TopClassThresholds):
        return f"{policy.kind} needs more than the largest probability"
    if classes > MOST_CLASSES:
        return f"more than {MOST_CLASSES} classes"
    table = softmax_exp_table(op.inputs[0].scale, op.attrs.beta)
    lowest = min(policy.thresholds)
    if lowest != max(policy.thresholds) and lowest <= _largest_shared(table):
        return (
            "classes of different thresholds can share a largest probability of "
            f"{_largest_shared(table)}, which reaches the threshold {lowest}"
        )
    limits = _largest_sums(np.array(policy.thresholds), int(table[0]), classes)
    arrays = {
        "exp_table": ("int32_t", tuple(table.tolist())),
        "limits": ("int32_t", tuple(limits.tolist())),
    }
    return DeviceCall(ON_SUM, arrays, (table.size,))


def _largest_shared(table: np.ndarray) -> int:
    """Largest int8 probability that classes of different logits can share at the top.

    table: exponentials by the distance from the largest logit. The sum holds at least those of both
    classes, and a smaller one than that of these two alone makes no probability larger.
    """
    others = np.append(table[1:], 0).astype(np.int64)  # 0: of all distances beyond the table
    return int(probabilities(others, addends(table[0]) + addends(others)).max())


def _largest_sums(thresholds: np.ndarray, one: int, classes: int) -> np.ndarray:
    """For each threshold the largest sum, int64 in Q12.19, with which the top reaches it; 0: none.

    one: the exponential of the largest logit, Q0.31. Bisection over all sums that `classes` give.
    """
    least = int(addends(one))
    reached = np.full(thresholds.shape, least - 1)
    missed = np.full(thresholds.shape, classes * least + 1)
    while (missed - reached > 1).any():
        middle = np.clip((reached + missed) // 2, least, classes * least)
        hit = probabilities(one, middle) >= thresholds
        reached, missed = np.where(hit, middle, reached), np.where(hit, missed, middle)
    return np.where(reached < least, 0, reached)
