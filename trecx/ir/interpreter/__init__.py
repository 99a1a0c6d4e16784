"""Integer NumPy interpreter: the executable specification of every operator.

    outputs = run_graph(graph, [images])            # (N, 32, 32, 3) int8 in, (N, 10) int8 out

Bit-exact to TensorFlow Lite Micro. One function an operator kind, in a registry; a function sees
int8 arrays with a leading sample dimension in front of the tensor's full shape, batch 1 included.
Floating point occurs only as a carrier of integers that provably fit (see `convolution`).
"""

from trecx.ir.interpreter import (  # noqa: F401  (fill the registry)
    convolution,
    elementwise,
    movement,
    pooling,
    reduction,
    softmax,
)
from trecx.ir.interpreter.registry import implemented_kinds, run_operator
from trecx.ir.interpreter.run import run_graph

__all__ = ["implemented_kinds", "run_graph", "run_operator"]
