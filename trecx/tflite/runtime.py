"""TensorFlow Lite's own interpreter, whichever package of it is installed."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trecx.errors import UnsupportedModelError

_PACKAGES = {
    "tflite_runtime.interpreter": "tflite-runtime",
    "ai_edge_litert.interpreter": "ai-edge-litert",
}

Model = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


@dataclass(frozen=True, eq=False)
class Runtime:
    """An interpreter package; its reference kernels are used, which are bit-exact to the standard.

    package, version: as on PyPI.
    """

    package: str
    version: str
    module: object

    @property
    def description(self) -> str:
        return f"{self.package} {self.version}, reference kernels"

    def load(self, model: bytes) -> Model:
        """A function from the model's input arrays (with batch) to its outputs, both in file order.

        Raises UnsupportedModelError when the runtime refuses the model.
        """
        resolver = self.module.OpResolverType.BUILTIN_REF
        try:
            interpreter = self.module.Interpreter(
                model_content=model, experimental_op_resolver_type=resolver
            )
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise UnsupportedModelError(f"{self.package} refuses the model: {error}") from None
        inputs = [detail["index"] for detail in interpreter.get_input_details()]
        outputs = [detail["index"] for detail in interpreter.get_output_details()]

        def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
            for index, array in zip(inputs, arrays, strict=True):
                interpreter.set_tensor(index, array)
            interpreter.invoke()
            return [interpreter.get_tensor(index).copy() for index in outputs]

        return run


def find_runtime(package: str | None = None) -> Runtime | None:
    """The installed runtime, tflite-runtime first; only `package` when given; None without one.

    tflite-runtime cannot be loaded after TensorFlow, whose libraries it then calls by mistake.
    """
    for module, name in _PACKAGES.items():
        if package not in (None, name) or (package is None and _is_too_late(module)):
            continue
        try:
            found = importlib.import_module(module)
        except ImportError:
            continue
        return Runtime(name, importlib.metadata.version(name), found)
    return None


def _is_too_late(module: str) -> bool:
    own = module.startswith("tflite_runtime")
    return own and "tensorflow" in sys.modules and module not in sys.modules
