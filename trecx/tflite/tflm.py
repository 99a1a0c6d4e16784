"""What a TensorFlow Lite Micro application needs to know of a model.

The C array of its bytes, the calls that register its operators, and the size of its arena.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from trecx.errors import ToolMissingError, UnsupportedModelError
from trecx.tflite.model import operator_kind, read_model

# Methods of tflite::MicroMutableOpResolver for the operators of the compiler and the cascade.
_RESOLVER_METHODS = {
    "ADD": "AddAdd",
    "ARG_MAX": "AddArgMax",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "CONCATENATION": "AddConcatenation",
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "FULLY_CONNECTED": "AddFullyConnected",
    "GATHER": "AddGather",
    "GREATER": "AddGreater",
    "GREATER_EQUAL": "AddGreaterEqual",
    "IF": "AddIf",
    "LOGISTIC": "AddLogistic",
    "MAX_POOL_2D": "AddMaxPool2D",
    "MEAN": "AddMean",
    "MINIMUM": "AddMinimum",
    "PAD": "AddPad",
    "PADV2": "AddPadV2",
    "QUANTIZE": "AddQuantize",
    "REDUCE_MAX": "AddReduceMax",
    "RELU": "AddRelu",
    "RELU6": "AddRelu6",
    "RESHAPE": "AddReshape",
    "SLICE": "AddSlice",
    "SOFTMAX": "AddSoftmax",
    "STRIDED_SLICE": "AddStridedSlice",
    "SUB": "AddSub",
}

_BYTES_A_LINE = 12

# Runs in a process of its own: TFLM reports on the standard streams and may end the process. It
# does not report what it needs while planning, so the smallest arena that works is searched.
_MEASURE = r"""
import json, os, re, sys, tempfile
from tflite_micro.python.tflite_micro import runtime

data = open(sys.argv[1], "rb").read()

def interpreter(size):
    made = runtime.Interpreter.from_bytes(data, arena_size=size)
    made.invoke()
    return made

made = interpreter(len(data) + (64 << 20))
report = tempfile.TemporaryFile()
os.dup2(report.fileno(), 1)
os.dup2(report.fileno(), 2)
made.print_allocations()
report.seek(0)
parts = dict(re.findall(r"Arena allocation (\w+) (\d+) bytes", report.read().decode()))

def works(size):
    try:
        interpreter(size)
    except Exception:
        return False
    return True

low = int(parts["total"]) // 16 * 16 - 16
high = low + 32
while not works(high):
    low, high = high, 2 * high
while high - low > 16:
    middle = (low + high) // 32 * 16
    low, high = (low, middle) if works(middle) else (middle, high)
open(sys.argv[2], "w").write(json.dumps(
    {"total": high, "activations": int(parts["head"]), "persistent": int(parts["tail"])}))
"""


@dataclass(frozen=True)
class Arena:
    """Bytes of a TFLM arena on a 64-bit host; a 32-bit target needs less, its pointers are shorter.

    total: the smallest arena that works, a multiple of 16. activations: tensors and scratch
    buffers; persistent: the kernels' and the interpreter's data, both as TFLM reports them. In
    a small model, planning needs more than the two together.
    """

    total: int
    activations: int
    persistent: int


def operator_kinds(model: bytes) -> list[str]:
    """Kinds of the operators of all subgraphs, sorted, each once."""
    tree = read_model(model)
    return sorted({operator_kind(tree, op) for part in tree.subgraphs for op in part.operators})


def resolver_calls(kinds: list[str]) -> list[str]:
    """Methods of `tflite::MicroMutableOpResolver` that register these operators.

    Raises UnsupportedModelError for an operator whose method is not known here.
    """
    unknown = [kind for kind in kinds if kind not in _RESOLVER_METHODS]
    if unknown:
        raise UnsupportedModelError(
            f"no op-resolver method is known for {', '.join(unknown)}: trecx writes them for the "
            "operators that it supports"
        )
    return [_RESOLVER_METHODS[kind] for kind in kinds]


def c_array(symbol: str, data: bytes) -> str:
    """C source that defines `symbol`, 16-byte aligned and constant, and `symbol_len`."""
    lines = [
        "  " + " ".join(f"0x{byte:02x}," for byte in data[i : i + _BYTES_A_LINE])
        for i in range(0, len(data), _BYTES_A_LINE)
    ]
    body = "\n".join(lines)
    return (
        f"const unsigned char {symbol}[] __attribute__((aligned(16))) = {{\n{body}\n}};\n"
        f"const unsigned int {symbol}_len = {len(data)}u;\n"
    )


def measure_arena(model: bytes) -> Arena:
    """The arena that TFLM needs for a model, found by running it on TFLM.

    Raises ToolMissingError without the tflite-micro package, and UnsupportedModelError when TFLM
    does not run the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "model.tflite"), Path(folder, "arena.json")
        source.write_bytes(model)
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, str(source), str(result)],
            capture_output=True,
            text=True,
            check=False,
        )
        if "No module named 'tflite_micro" in done.stderr:
            raise ToolMissingError(
                "measuring the arena needs TensorFlow Lite Micro: pip install tflite-micro"
            )
        if done.returncode or not result.exists():
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise UnsupportedModelError(
                f"TensorFlow Lite Micro does not run the model: {lines[-1] if lines else 'crash'}"
            )
        return Arena(**json.loads(result.read_text()))
