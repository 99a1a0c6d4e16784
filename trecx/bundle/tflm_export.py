"""A bundle as sources for a TensorFlow Lite Micro application, without trecx's own kernels.

NAME_models.h, NAME_models.c   the segments' and the cascade's bytes, and their arena sizes
NAME_ops.h                     registers exactly the operators that are needed
exit_policy.h, exit_policy.c   the exit decisions
example_segments.cc            segment by segment, the application decides
example_cascade.cc             one interpreter for the whole cascade
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trecx.bundle.bundle import Bundle
from trecx.errors import BundleError, ToolMissingError
from trecx.files import atomic_folder
from trecx.policies import DeviceCall
from trecx.tflite.cut import segment_names
from trecx.tflite.tflm import Arena, c_array, measure_arena, operator_kinds, resolver_calls

_MARKER = "trecx_tflm.txt"
_POLICY_SOURCES = ("include/trecx/exit_policy.h", "runtime/exit_policy.c")


@dataclass(frozen=True)
class TflmModel:
    """One of the models: name ("stem"), bytes of the file, and its arena; None: not measured."""

    name: str
    file_bytes: int
    arena: Arena | None


def export_tflm(bundle: Bundle, out: Path, deploy: Path, name: str) -> list[TflmModel]:
    """Write the sources to folder `out`; returns what is in it.

    Args:
        deploy: the folder with trecx's C sources, for the exit decisions.
        name: prefix of all symbols, a C identifier.

    Without the tflite-micro package the arena sizes are left to be filled in, and say so. Raises
    InputError when `out` exists and was not written by this function.
    """
    if not name.isidentifier() or not name.isascii():
        raise BundleError(f"the prefix {name!r} is no C identifier: letters, digits and _ only")
    models = dict(zip(segment_names(len(bundle.segments)), bundle.segment_bytes(), strict=True))
    cascade = bundle.cascade_bytes()
    if cascade is not None:
        models["cascade"] = cascade
    described = [TflmModel(n, len(data), _arena(data)) for n, data in models.items()]
    stamp = f"Made by trecx {bundle.manifest['tool']['version']} from bundle {bundle.digest}."
    files = {
        _MARKER: f"{stamp}\n{__doc__.replace('NAME', name)}",
        f"{name}_models.h": _models_header(name, stamp, described),
        f"{name}_models.c": _models_source(name, stamp, models),
        f"{name}_ops.h": _ops_header(name, stamp, list(models.values())),
        "example_segments.cc": _segments_example(name, stamp, bundle),
    }
    if cascade is not None:
        files["example_cascade.cc"] = _cascade_example(name, stamp, bundle)
    for source in _POLICY_SOURCES:
        text = (deploy / source).read_text()
        files[Path(source).name] = text.replace("<trecx/", "<").replace('"trecx/', '"')
    with atomic_folder(Path(out), _MARKER) as folder:
        for file, text in files.items():
            (folder / file).write_text(text)
    return described


def _arena(model: bytes) -> Arena | None:
    try:
        return measure_arena(model)
    except ToolMissingError:
        return None


def _models_header(name: str, stamp: str, models: list[TflmModel]) -> str:
    guard = f"{name.upper()}_MODELS_H"
    lines = [
        f"/* {stamp} */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        "/* Arenas as measured with TensorFlow Lite Micro on a 64-bit host; a 32-bit target needs",
        " * less, because its pointers are shorter. */",
    ]
    for model in models:
        symbol = f"{name.upper()}_{model.name.upper()}_ARENA_BYTES"
        if model.arena is None:
            lines.append(f"#error {symbol} was not measured: tflite-micro was not installed")
        else:
            lines.append(f"#define {symbol} {model.arena.total}u")
    lines += ["", "#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
    for model in models:
        lines.append(f"extern const unsigned char {name}_{model.name}_model[];")
        lines.append(f"extern const unsigned int {name}_{model.name}_model_len;")
    lines += ["", "#ifdef __cplusplus", "}", "#endif", "", "#endif", ""]
    return "\n".join(lines)


def _models_source(name: str, stamp: str, models: dict[str, bytes]) -> str:
    arrays = "\n".join(c_array(f"{name}_{key}_model", data) for key, data in models.items())
    return f'/* {stamp} */\n#include "{name}_models.h"\n\n{arrays}'


def _ops_header(name: str, stamp: str, models: list[bytes]) -> str:
    kinds = sorted({kind for data in models for kind in operator_kinds(data)})
    calls = resolver_calls(kinds)
    guard = f"{name.upper()}_OPS_H"
    lines = "\n".join(f"  TF_LITE_ENSURE_STATUS(resolver.{call}());" for call in calls)
    return f"""/* {stamp} */
#ifndef {guard}
#define {guard}

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

using {name}_resolver = tflite::MicroMutableOpResolver<{len(calls)}>;

inline TfLiteStatus {name}_register_ops({name}_resolver &resolver) {{
{lines}
  return kTfLiteOk;
}}

#endif
"""


# --- Examples ---


def _segments_example(name: str, stamp: str, bundle: Bundle) -> str:
    names = segment_names(len(bundle.segments))
    arenas = "\n".join(
        f"alignas(16) static uint8_t {n}_arena[{name.upper()}_{n.upper()}_ARENA_BYTES];"
        for n in names
    )
    interpreters = "\n".join(
        f"  static tflite::MicroInterpreter {n}(tflite::GetModel({name}_{n}_model), resolver,\n"
        f"                                       {n}_arena, sizeof {n}_arena);"
        for n in names
    )
    ready = " &&\n      ".join(f"{n}.AllocateTensors() == kTfLiteOk" for n in names)
    tables, steps = [], []
    policies = bundle.exit_policies()
    for k, segment in enumerate(bundle.segments):
        n = names[k]
        if k:
            steps += [
                f"  memcpy({n}.input({i})->data.int8, {names[k - 1]}.output({i + 1})->data.int8, "
                f"{n}.input({i})->bytes);"
                for i in range(len(bundle.segments[k - 1].handoff))
            ]
        steps.append(f"  if ({n}.Invoke() != kTfLiteOk) return -1;")
        steps.append(f"  *scores = {n}.output(0)->data.int8;")
        steps.append(f"  *exit_index = {k};")
        if k < len(policies):
            units = segment.output.units
            call = policies[k].device_call(units)
            table, condition = _decision(call, k, units)
            tables += table
            classes = policies[k].classes(units)
            steps.append(f"  if ({condition}) return trecx_argmax_s8(*scores, {classes});")
    steps.append(f"  return trecx_argmax_s8(*scores, {bundle.manifest['output']['units']});")
    declared = "\n".join([*tables, arenas])
    body = "\n".join(steps)
    return f"""/* {stamp} */
#include <cstdint>
#include <cstring>

#include "{name}_models.h"
#include "{name}_ops.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

extern "C" {{
#include "exit_policy.h"
}}

{declared}

/* Runs segments until an exit is sure enough. Returns the class, or -1 on an error. */
int {name}_classify(const int8_t *input, const int8_t **scores, int *exit_index) {{
  static {name}_resolver resolver;
  static const bool registered = {name}_register_ops(resolver) == kTfLiteOk;
{interpreters}
  static const bool ready = registered &&
      {ready};
  if (!ready) return -1;
  memcpy({names[0]}.input(0)->data.int8, input, {names[0]}.input(0)->bytes);
{body}
}}
"""


def _decision(call: DeviceCall, k: int, units: int) -> tuple[list[str], str]:
    """Declarations of the policy's tables, and the C expression that is true to stop."""
    tables, arguments = [], ["*scores", f"{units}u"]
    for parameter, (ctype, values) in call.arrays.items():
        symbol = f"exit_{k}_{parameter}"
        text = ", ".join(map(str, values))
        tables.append(f"static const {ctype} {symbol}[] = {{{text}}};")
        arguments.append(symbol)
    arguments += [str(value) for value in call.scalars]
    return tables, f"{call.function}({', '.join(arguments)})"


def _cascade_example(name: str, stamp: str, bundle: Bundle) -> str:
    units = bundle.manifest["output"]["units"]
    return f"""/* {stamp} */
#include <cstdint>
#include <cstring>

#include "{name}_models.h"
#include "{name}_ops.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"

extern "C" {{
#include "exit_policy.h"
}}

alignas(16) static uint8_t arena[{name.upper()}_CASCADE_ARENA_BYTES];

/* Runs the cascade; the exit decision is inside. Returns the class, or -1 on an error. */
int {name}_classify(const int8_t *input, const int8_t **scores, int *exit_index) {{
  static {name}_resolver resolver;
  static const bool registered = {name}_register_ops(resolver) == kTfLiteOk;
  static tflite::MicroInterpreter cascade(tflite::GetModel({name}_cascade_model), resolver,
                                          arena, sizeof arena);
  static const bool ready = registered && cascade.AllocateTensors() == kTfLiteOk;
  if (!ready) return -1;
  memcpy(cascade.input(0)->data.int8, input, cascade.input(0)->bytes);
  if (cascade.Invoke() != kTfLiteOk) return -1;
  *scores = cascade.output(0)->data.int8;
  *exit_index = cascade.output(1)->data.i32[0];
  return trecx_argmax_s8(*scores, {units});
}}
"""
