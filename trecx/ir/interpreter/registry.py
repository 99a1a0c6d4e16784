"""From operator kinds to the functions that compute them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from trecx.errors import UnsupportedModelError
from trecx.ir.graph import Operator

# (operator, values of its inputs) -> value of its output. A value has shape (N, *tensor.shape); a
# constant input has N = 1; an absent optional input is None.
Implementation = Callable[..., np.ndarray]

_IMPLEMENTATIONS: dict[str, Implementation] = {}


def implements(*kinds: str) -> Callable[[Implementation], Implementation]:
    """Decorator: the function computes operators of these kinds."""

    def add(function: Implementation) -> Implementation:
        for kind in kinds:
            _IMPLEMENTATIONS[kind] = function
        return function

    return add


def implemented_kinds() -> tuple[str, ...]:
    return tuple(sorted(_IMPLEMENTATIONS))


def run_operator(op: Operator, values: Sequence[np.ndarray | None]) -> np.ndarray:
    """Compute one operator.

    Args:
        op: the operator.
        values: one array of shape (N, *shape) for each activation input; None at the places of
            constants and absent inputs (constants are read from the operator).

    Returns:
        Array of shape (N, *output shape) and the output's dtype.

    Raises:
        UnsupportedModelError: no function for this kind of operator.
    """
    function = _IMPLEMENTATIONS.get(op.kind)
    if function is None:
        raise UnsupportedModelError(
            f"operator {op.kind} (index {op.index}) is not supported; supported are: "
            + ", ".join(implemented_kinds())
        )
    arguments = [
        tensor.data[np.newaxis] if tensor is not None and tensor.is_constant else value
        for tensor, value in zip(op.inputs, values, strict=True)
    ]
    return function(op, *arguments)
