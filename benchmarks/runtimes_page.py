"""docs/RUNTIMES.md from the figures that `benchmarks.runtimes measure` writes, a bundle each."""

from __future__ import annotations

from collections.abc import Sequence

PAGE = """# Bundles on other runtimes

Written by `python -m benchmarks.runtimes`, which says how to measure again.

{samples}

## Bytes

What differs from the integer interpreter, in the scores of the exit taken and in which exit it is:

{runtimes}

Default kernels are XNNPACK and the optimised kernels, which round otherwise; LiteRT's reference
kernels differ in FULLY_CONNECTED alone, where they round once and TFLM twice. The cascade gives
what the segments give on every runtime.

## Arena of TensorFlow Lite Micro

The smallest that works = activations + persistent, found with the interpreter on a 64-bit host. A
32-bit target needs less, as its pointers are shorter.

{arenas}

A cascade's activations are about those of its larger segment, because its file carries a memory
plan ([BUNDLE.md](BUNDLE.md)); without one TFLM keeps the hand-off twice. Persistent are TFLM's own
data: 8 bytes for each output channel of a convolution, 24 for a tensor, 64 for an operator, and
more. One interpreter needs those of all operators that it may run, whichever branch it takes, so
a cascade has the stem's and the tail's; so have two interpreters that share an arena (last line).

## Files

{sizes}

## Time

{times}

Processor time of one core of {machine}; other work was running beside.
"""


def page(figures: Sequence[dict]) -> str:
    """The whole page; a column for each bundle."""
    parts = {
        "samples": samples_table,
        "runtimes": runtimes_table,
        "arenas": arena_table,
        "sizes": size_table,
        "times": times_table,
    }
    filled = {name: "\n".join(make(figures)) for name, make in parts.items()}
    return PAGE.format(**filled, machine=figures[0]["machine"])


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


def runtimes_table(figures: Sequence[dict]) -> list[str]:
    def cell(row: dict) -> str:
        if not row["bytes"]:
            return "0"
        return (
            f"{row['bytes']:,} in {row['samples']:,} samples; other exit {row['exits']}, "
            f"other class {row['classes']}"
        )

    columns = [[cell(row) for row in f["rows"]] for f in figures]
    names = [row["runtime"] for row in figures[0]["rows"]]
    rows = [[name, *cells] for name, *cells in zip(names, *columns, strict=True)]
    linked = [[row["cascade"] for row in f["rows"] if row["cascade"] is not None] for f in figures]
    rows.append(["cascade against segments, samples on each of the five", *map(_same, linked)])
    return table(["", *(f["task"] for f in figures)], rows)


def _same(counts: Sequence[int]) -> str:
    return "0" if not any(counts) else ", ".join(map(str, counts))


def samples_table(figures: Sequence[dict]) -> list[str]:
    def used(f: dict) -> str:
        return " + ".join(f"{count:,} {split}" for split, count in f["samples"].items())

    rows = [
        ["data", *(f["data"] for f in figures)],
        ["samples", *(used(f) for f in figures)],
        [
            "stopped at segment 0, 1, ...",
            *(" / ".join(f"{n:,}" for n in f["exits"]) for f in figures),
        ],
    ]
    return table(["", *(f["task"] for f in figures)], rows)


def arena_table(figures: Sequence[dict]) -> list[str]:
    def arenas(f: dict, name: str) -> str:
        arena = f["files"][name]["arena"]
        return f"{arena['total']:,} = {arena['activations']:,} + {arena['persistent']:,}"

    def limit(f: dict) -> int:
        parts = [f["files"][name]["arena"]["total"] for name in ("stem", "tail")]
        return max(parts) + f["handoff_bytes"]

    def ratio(f: dict) -> str:
        return f"{100 * (f['files']['cascade']['arena']['total'] / limit(f) - 1):+.1f} %"

    def shared(f: dict) -> int:
        parts = [f["files"][name]["arena"] for name in ("stem", "tail")]
        head = max(p["activations"] for p in parts)
        return head + f["handoff_bytes"] + sum(p["persistent"] for p in parts)

    rows = [
        [name.replace("_", ", "), *(arenas(f, name) for f in figures)]
        for name in ("stem", "tail", "full", "cascade_unplanned", "cascade")
    ]
    rows += [
        ["hand-off", *(f"{f['handoff_bytes']:,}" for f in figures)],
        ["larger of stem and tail, plus hand-off", *(f"{limit(f):,}" for f in figures)],
        ["cascade against that", *(ratio(f) for f in figures)],
        ["stem and tail in one shared arena", *(f"{shared(f):,}" for f in figures)],
    ]
    return table(["arena bytes", *(f["task"] for f in figures)], rows)


def size_table(figures: Sequence[dict]) -> list[str]:
    def size(f: dict, name: str) -> int:
        return f["files"][name]["bytes"]

    rows = [
        [f"{name}.tflite", *(f"{size(f, name):,}" for f in figures)]
        for name in ("stem", "tail", "full", "cascade")
    ]
    rows.append(
        ["cascade over full", *(f"{size(f, 'cascade') - size(f, 'full'):,}" for f in figures)]
    )
    return table(["bytes", *(f["task"] for f in figures)], rows)


def times_table(figures: Sequence[dict]) -> list[str]:
    kinds = {
        "cut_seconds": "cut, seconds",
        "link_seconds": "link, seconds",
        "verify_samples_per_second": "verify, samples a second",
    }

    def number(value: float) -> str:
        return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"

    rows = [[text, *(number(f["times"][kind]) for f in figures)] for kind, text in kinds.items()]
    return table(["processor time", *(f["task"] for f in figures)], rows)
