"""Write a planned program as C99: one header, one source file. Same program, same bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from trecx import __version__
from trecx.codegen.decision import ExitDecision
from trecx.codegen.lowering import Blob, Isa
from trecx.codegen.planner import ALIGNMENT, MemoryPlan
from trecx.codegen.program import Program, TimedStep
from trecx.errors import InputError, VerificationError

_LINE = 96
WIDE_ARGMAX = 64  # values of an output
# PREFIX.h must not hide a header that the generated code includes, nor PREFIX_model a type.
_RESERVED = {"trecx", "stddef", "stdint", "string"}


@dataclass(frozen=True, eq=False)
class ModelInfo:
    """What the generated files say about themselves.

    prefix: C identifier that all public names begin with. options: shown in the stamp.
    digest: sha256 of the bundle's manifest or of the .tflite file. decisions: one for each exit but
    the last. arena_symbol: name of an arena shared with other models, defined elsewhere; None: the
    model has its own.
    """

    prefix: str
    digest: str
    options: str
    decisions: tuple[ExitDecision, ...] = ()
    arena_symbol: str | None = None
    isa: Isa = Isa.REF


@dataclass
class _Writer:
    info: ModelInfo
    lines: list[str] = field(default_factory=list)
    arrays: dict[tuple[str, int, bytes], str] = field(default_factory=dict)  # by Blob.key
    structs: dict[tuple[str, ...], str] = field(default_factory=dict)  # by type and fields

    def put(self, text: str = "") -> None:
        self.lines.append(text)

    def array(self, blob: Blob, name: str) -> str:
        """Name of a const array with these values; equal arrays are written once."""
        if blob.key not in self.arrays:
            self.arrays[blob.key] = name
            self.put(
                f"static const {blob.ctype} {name}[{max(np.size(blob.values), 1)}]"
                f" __attribute__((aligned({blob.align}))) = {{"
            )
            self.lines.extend(_rows(blob.values))
            self.put("};")
        return self.arrays[blob.key]

    def struct(self, ctype: str, fields: list[str], name: str) -> str:
        """Name of a const struct with these fields; equal structs are written once."""
        key = (ctype, *fields)
        if key not in self.structs:
            self.structs[key] = name
            self.put(f"static const {ctype} {name} = {{")
            self.lines.extend(fields)
            self.put("};")
        return self.structs[key]


def check_prefix(prefix: str) -> str:
    """The prefix, if it can begin C identifiers and file names; InputError otherwise."""
    if prefix.lower() in _RESERVED:
        raise InputError(f"the prefix {prefix!r} would hide names of trecx or of the C library")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,40}", prefix):
        raise InputError(
            f"a prefix must be a C identifier of at most 41 letters, digits and underscores; "
            f"got {prefix!r}"
        )
    return prefix


def c_identifier(text: str) -> str:
    """A readable C identifier for any tensor or model name."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").lower() or "x"


def emit_header(program: Program, plan: MemoryPlan, info: ModelInfo) -> str:
    """Text of PREFIX.h."""
    p, guard = info.prefix, f"TRECX_{info.prefix.upper()}_H"
    first, final = program.graphs[0].inputs[0], program.graphs[-1].outputs[0]
    two_step = ""
    if len(program.graphs) == 2:
        two_step = f"""
/* The two steps of {p}_invoke, for applications that decide themselves. {p}_stem returns 1 when
 * the exit policy says to stop, 0 when it says to go on; {p}_tail then gives the full answer. */
int {p}_stem(const int8_t *input, trecx_result *result);
int {p}_tail(trecx_result *result);
"""
    return f"""{_stamp(info)}#ifndef {guard}
#define {guard}

#include "trecx/model.h"

#ifdef __cplusplus
extern "C" {{
#endif

#define {p.upper()}_INPUT_BYTES {first.nbytes}
#define {p.upper()}_INPUT_SCALE {_c_float(first.scale)}
#define {p.upper()}_INPUT_ZERO_POINT ({first.zero_point})
#define {p.upper()}_OUTPUT_COUNT {final.size}
#define {p.upper()}_OUTPUT_SCALE {_c_float(final.scale)}
#define {p.upper()}_OUTPUT_ZERO_POINT ({final.zero_point})
#define {p.upper()}_SEGMENTS {len(program.graphs)}
#define {p.upper()}_ARENA_BYTES {plan.arena_bytes}

/* Where the input lives: {first.nbytes} bytes of the arena. Filling it directly saves a copy. */
int8_t *{p}_input(void);

/* One inference with the exit decision. Returns TRECX_OK or a negative error. What only the output
 * of an exit needs is computed where that exit is taken. */
int {p}_invoke(const int8_t *input, trecx_result *result);

/* Segment k alone, with its output: 1 to stop here, 0 to go on, or a negative error (see
 * trecx/model.h). */
int {p}_segment(uint32_t k, const int8_t *input, trecx_result *result);
{two_step}
extern const trecx_model {p}_model;

#ifdef __cplusplus
}}
#endif

#endif
"""


def emit_source(program: Program, plan: MemoryPlan, info: ModelInfo) -> str:
    """Text of PREFIX.c."""
    w = _Writer(info)
    p = info.prefix
    w.put(_stamp(info) + f'#include "{p}.h"')
    w.put()
    w.put("#include <stddef.h>")
    w.put("#include <string.h>")
    w.put()
    if any(decision.on_logits for decision in info.decisions):
        w.put('#include "trecx/exit_logits.h"')
    w.put('#include "trecx/exit_policy.h"')
    headers = {t.step.header for t in program.steps}
    if wide_argmax(program, info.isa):
        headers.add("argmax_s8_mve.h")
    for header in sorted(headers):
        w.put(f'#include "trecx/kernels/{header}"')
    w.put()
    _emit_arena(w, plan)
    names = [_emit_step(w, program, plan, t) for t in program.steps]
    _emit_segments(w, program, plan, names)
    _emit_entry_points(w, program, plan)
    return "\n".join(w.lines) + "\n"


def emit_arena(symbol: str, size: int, prefixes: list[str]) -> str:
    """Text of a C file with the arena of `size` bytes that several models share."""
    return f"""/* Generated by trecx {__version__}: the arena that {" and ".join(prefixes)} share.
 * Run one model to its end before the next: each overwrites what the others left. */
#include "trecx/model.h"

uint8_t {symbol}[{size} + 2 * TRECX_CANARY_BYTES] __attribute__((aligned({ALIGNMENT})));
const void *{symbol}_owner; /* the model that ran last */
"""


def _stamp(info: ModelInfo) -> str:
    return (
        f"/* Generated by trecx {__version__} with options: {info.options}\n"
        f" * from the model with sha256 {info.digest}.\n"
        " * Do not edit: compile the model again instead. */\n"
    )


def _emit_arena(w: _Writer, plan: MemoryPlan) -> None:
    p = w.info.prefix
    if w.info.arena_symbol:
        w.put(f"extern uint8_t {w.info.arena_symbol}[];")
        w.put(f"extern const void *{w.info.arena_symbol}_owner;")
        w.put(f"#define ARENA ({w.info.arena_symbol} + TRECX_CANARY_BYTES)")
    else:
        w.put(f"static uint8_t {p}_arena[{plan.arena_bytes} + 2 * TRECX_CANARY_BYTES]")
        w.put(f"    __attribute__((aligned({ALIGNMENT})));")
        w.put(f"#define ARENA ({p}_arena + TRECX_CANARY_BYTES)")
    w.put("#define AT(offset) ((int8_t *)(ARENA + (offset)))")
    w.put("/* A function for each step, also for equal ones: profilers tell them apart. */")
    w.put("#if defined(__GNUC__) && !defined(__clang__)")
    w.put("#define STEP static __attribute__((noinline, no_icf))")
    w.put("#else")
    w.put("#define STEP static __attribute__((noinline))")
    w.put("#endif")
    w.put()


def _emit_step(w: _Writer, program: Program, plan: MemoryPlan, timed: TimedStep) -> str:
    step = timed.step
    op = program.lowered[timed.segment][timed.operator_index].operator
    name = f"{w.info.prefix}_s{timed.segment}_{timed.time:02d}_{c_identifier(op.kind)}"
    w.put(f"/* {op.kind} {op.output.label} {_dims(op.output.shape)}, {step.scheme} */")
    fields = []
    for key, value in step.params.items():
        if isinstance(value, Blob):
            value = w.array(value, f"{name}_{c_identifier(key)}")
        elif value is None:
            value = "NULL"
        elif isinstance(value, (tuple, list)):
            value = "{" + ", ".join(_c_int(v) for v in value) + "}"
        elif not isinstance(value, str):
            value = _c_int(value)
        fields.append(f"    .{key} = {value},")
    args = [f"&{w.struct(step.params_type, fields, f'{name}_params')}"]
    args += [f"AT({plan.offset_of(program, t)})" for t in (*step.inputs, *step.outputs)]
    scratch = plan.scratch_buffer.get(timed.time)
    args.append(f"AT({scratch.offset})" if scratch else "NULL")
    w.put(f"STEP void {name}(void) {{")
    w.put(f"  {step.kernel}({', '.join(args)});")
    w.put("}")
    w.put()
    return name


def _emit_segments(w: _Writer, program: Program, plan: MemoryPlan, names: list[str]) -> None:
    """Two functions for each segment: up to its decision, and from there to its result."""
    p = w.info.prefix
    for k, graph in enumerate(program.graphs):
        before, after = _around_decision(w, program, names, k)
        stop = _emit_decision_arrays(w, program, plan, k)
        w.put(f"/* Segment {k}: {graph.name}. Returns 1 to stop here. */")
        w.put(f"static int {p}_decide_{k}(void) {{")
        w.lines.extend(f"  {name}();" for name in before)
        w.put(f"  return {stop};")
        w.put("}")
        w.put()
        w.put(f"static void {p}_answer_{k}(trecx_result *result) {{")
        w.lines.extend(f"  {name}();" for name in after)
        w.put(f"  const int8_t *const output = AT({plan.offset_of(program, graph.outputs[0])});")
        classes = _class_count(program, k)
        w.put(f"  result->class_index = {_argmax(w, classes)}(output, {classes});")
        w.put(f"  result->exit_index = {k};")
        w.put("  result->output = output;")
        w.put("}")
        w.put()


def _around_decision(
    w: _Writer, program: Program, names: list[str], segment: int
) -> tuple[list[str], list[str]]:
    """Names of the steps that run in any case, and of those for an exit that is taken."""
    decisions = w.info.decisions[segment : segment + 1]  # none behind the last segment
    answer = {key for decision in decisions for key in decision.answer}
    parts: tuple[list[str], list[str]] = ([], [])
    for timed, name in zip(program.steps, names, strict=True):
        if timed.segment == segment:
            operator = program.lowered[segment][timed.operator_index].operator
            late = id(operator) in answer
            if parts[1] and not late:
                raise VerificationError(f"{name} is planned behind the decision that needs it")
            parts[late].append(name)
    return parts


def wide_argmax(program: Program, isa: Isa) -> bool:
    """Whether an output has so many values that Helium's argmax pays (mve/argmax_s8.c)."""
    counts = [_class_count(program, k) for k in range(len(program.graphs))]
    return isa is Isa.MVE and max(counts) >= WIDE_ARGMAX


def _argmax(w: _Writer, classes: int) -> str:
    """The function that finds the largest of that many values."""
    wide = w.info.isa is Isa.MVE and classes >= WIDE_ARGMAX
    return "trecx_argmax_s8_mve" if wide else "trecx_argmax_s8"


def _class_count(program: Program, segment: int) -> int:
    """Leading values of the exit output that are class scores (a confidence may follow them)."""
    return min(program.graphs[segment].outputs[0].size, program.graphs[-1].outputs[0].size)


def _emit_decision_arrays(w: _Writer, program: Program, plan: MemoryPlan, segment: int) -> str:
    """Write the constant tables of an exit's decision; returns its C expression."""
    if segment == len(program.graphs) - 1:
        return "1"
    decision = w.info.decisions[segment]
    call = decision.call
    if call is None:
        return "0 /* no exit policy: always go on */"
    arrays = [
        w.array(Blob(ctype, np.array(values)), f"{w.info.prefix}_exit_{segment}_{key}")
        for key, (ctype, values) in call.arrays.items()
    ]
    reads = f"AT({plan.offset_of(program, decision.reads)})"
    arguments = [reads, str(decision.reads.size), *arrays, *map(_c_int, call.scalars)]
    return f"{call.function}({', '.join(arguments)})"


def _emit_entry_points(w: _Writer, program: Program, plan: MemoryPlan) -> None:
    p = w.info.prefix
    n = len(program.graphs)
    first, final = program.graphs[0].inputs[0], program.graphs[-1].outputs[0]
    arena = w.info.arena_symbol or f"{p}_arena"
    # With two callers, the code shall be in flash once.
    static = "static" if n == 1 else "static __attribute__((noinline))"
    w.put(f"static uint32_t {p}_next; /* the segment that may run next */")
    w.put()
    w.put(f"int8_t *{p}_input(void) {{")
    w.put(f"  return AT({plan.offset_of(program, first)});")
    w.put("}")
    w.put()
    w.put("/* Segment k up to its decision: 1 to stop, 0 to go on, or a negative error. */")
    w.put(f"{static} int {p}_decide(uint32_t k, const int8_t *input) {{")
    w.put(f"  if (k >= {n} || (k == 0 && input == NULL)) return TRECX_ERR_ARGUMENT;")
    w.put(f"  if (k != 0 && k != {p}_next) return TRECX_ERR_ORDER;")
    if w.info.arena_symbol:
        owner = f"{w.info.arena_symbol}_owner"
        w.put(f"  if (k != 0 && {owner} != &{p}_next) return TRECX_ERR_ORDER;")
        w.put(f"  {owner} = &{p}_next;")
    w.put(f"  {p}_next = k + 1;")
    w.put("  switch (k) {")
    w.put("    case 0:")
    w.put(f"      if (input != {p}_input()) memcpy({p}_input(), input, {first.nbytes});")
    w.put(f"      return {p}_decide_0();")
    for k in range(1, n):
        w.put(f"    case {k}:")
        w.put(f"      return {p}_decide_{k}();")
    w.put("    default:")
    w.put("      return TRECX_ERR_ARGUMENT;")
    w.put("  }")
    w.put("}")
    w.put()
    w.put("/* The result of segment k, which has just decided. */")
    w.put(f"{static} void {p}_answer(uint32_t k, trecx_result *result) {{")
    w.put("  switch (k) {")
    for k in range(n):
        w.put(f"    case {k}:")
        w.put(f"      {p}_answer_{k}(result);")
        w.put("      break;")
    w.put("    default:")
    w.put("      break;")
    w.put("  }")
    w.put("}")
    w.put()
    w.put(f"int {p}_segment(uint32_t k, const int8_t *input, trecx_result *result) {{")
    w.put("  if (result == NULL) return TRECX_ERR_ARGUMENT;")
    w.put(f"  const int stop = {p}_decide(k, input);")
    w.put(f"  if (stop >= 0) {p}_answer(k, result);")
    w.put("  return stop;")
    w.put("}")
    w.put()
    w.put(f"int {p}_invoke(const int8_t *input, trecx_result *result) {{")
    w.lines.extend(_invoke_exit_free(p) if n == 1 else _invoke_chain(p, n))
    w.put("}")
    w.put()
    if n == 2:
        w.put(f"int {p}_stem(const int8_t *input, trecx_result *result) {{")
        w.put(f"  return {p}_segment(0, input, result);")
        w.put("}")
        w.put()
        w.put(f"int {p}_tail(trecx_result *result) {{")
        w.put(f"  const int stop = {p}_segment(1, NULL, result);")
        w.put("  return stop < 0 ? stop : TRECX_OK;")
        w.put("}")
        w.put()
    w.put(f"const trecx_model {p}_model = {{")
    w.put(f'    .name = "{p}",')
    w.put(f'    .bundle_sha256 = "{w.info.digest}",')
    w.put(f"    .input_bytes = {first.nbytes},")
    w.put(f"    .output_count = {final.size},")
    w.put(f"    .segment_count = {n},")
    w.put(f"    .arena_bytes = {plan.arena_bytes},")
    w.put(f"    .guarded_arena = {arena},")
    w.put(f"    .input = {p}_input,")
    w.put(f"    .invoke = {p}_invoke,")
    w.put(f"    .run_segment = {p}_segment,")
    w.put("};")


def _invoke_exit_free(p: str) -> list[str]:
    return [
        f"  const int stop = {p}_segment(0, input, result);",
        "  return stop < 0 ? stop : TRECX_OK;",
    ]


def _invoke_chain(p: str, segments: int) -> list[str]:
    return [
        "  if (result == NULL) return TRECX_ERR_ARGUMENT;",
        f"  for (uint32_t k = 0; k < {segments}; k++) {{",
        f"    const int stop = {p}_decide(k, input);",
        "    if (stop < 0) return stop;",
        "    if (stop > 0) {",
        f"      {p}_answer(k, result);",
        "      break;",
        "    }",
        "  }",
        "  return TRECX_OK;",
    ]


def _dims(shape) -> str:
    return "x".join(str(d) for d in shape) or "scalar"


def _c_int(value) -> str:
    value = int(value)
    if value == -(2**31):
        return "INT32_MIN"
    return str(value)


def _c_float(value: float) -> str:
    return f"{np.float32(value):.9g}" if "." in f"{value:.9g}" else f"{value:.9g}"


def _rows(values: np.ndarray) -> list[str]:
    rows, line = [], "   "
    for value in np.asarray(values).reshape(-1):
        text = f" {_c_int(value)},"
        if len(line) + len(text) > _LINE:
            rows.append(line)
            line = "   "
        line += text
    if line.strip():
        rows.append(line)
    return rows or ["    0,"]
