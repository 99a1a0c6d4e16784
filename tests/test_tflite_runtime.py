"""Which TensorFlow Lite runtime is used."""

import sys
import types

from trecx.tflite.runtime import find_runtime


def test_tflite_runtime_comes_first():
    assert find_runtime().package == "tflite-runtime"
    assert find_runtime("ai-edge-litert").package == "ai-edge-litert"
    assert find_runtime("no-such-runtime") is None


def test_tflite_runtime_is_not_loaded_after_tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))
    assert find_runtime().package == "tflite-runtime"  # loaded before, it works
    monkeypatch.delitem(sys.modules, "tflite_runtime.interpreter")
    assert find_runtime().package == "ai-edge-litert"
