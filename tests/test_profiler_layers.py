"""The profiler: exact totals, attribution to layers and kernels, and the method without plugin."""

import json

import numpy as np
import pytest

from tests.support import toy
from trecx.errors import InputError, TargetError, ToolMissingError, VerificationError
from trecx.targets import blocks, profiler
from trecx.targets.batch import run_batch
from trecx.targets.boards import load_board
from trecx.targets.disassembly import Kind, disassemble
from trecx.targets.presets import load_preset

INPUTS = toy.toy_inputs(24, seed=5)
MACS = {"toy_s1_01_add": 8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("firmware")


def profile(board, folder, **options):
    firmware = toy.toy_firmware(board, folder / board)
    return profiler.profile(firmware, load_board(board), INPUTS, macs=MACS, **options)


@pytest.mark.parametrize("board", toy.EMULATED)
def test_totals_equal_the_board_counter_on_every_board(board, folder):
    found = profile(board, folder)
    firmware = toy.toy_firmware(board, folder / board)
    plain = run_batch(firmware, load_board(board), INPUTS, jobs=1)
    assert found.method == "plugin"
    assert found.total == int(plain.instructions.sum())
    assert np.array_equal(found.result.instructions, plain.instructions)
    exits = toy.toy_answers(INPUTS)[0]
    for path in found.paths:
        assert path.inferences == int((exits == path.path).sum())
        assert sum(row.instructions for row in path.layers) == path.instructions
        for row in path.layers:
            assert sum(row.functions.values()) == row.instructions
            assert sum(row.mix.values()) == row.instructions


def test_layers_are_attributed_by_path(folder):
    early, full = profile("mps2-an386", folder).paths
    assert [row.name for row in early.layers] == ["between layers", "toy_s0_00_exit"]
    assert [row.name for row in full.layers] == [*(r.name for r in early.layers), "toy_s1_01_add"]
    exit_layer, add = early.layers[1], full.layers[2]
    assert add.layer.segment == 1 and add.layer.kind == "add" and add.macs == 8
    # Straight-line code: the same for every inference and on both paths.
    assert exit_layer.instructions % early.inferences == 0
    assert exit_layer.instructions * full.inferences == (
        full.layers[1].instructions * early.inferences
    )
    # Four outputs of a byte each: two loads and one store an output, at least.
    assert add.mix["store"] == 4 * full.inferences
    assert add.mix["load"] >= 8 * full.inferences


def test_counts_repeat_exactly_and_do_not_depend_on_processes(folder):
    one = profile("mps2-an386", folder, jobs=1).to_json()
    two = profile("mps2-an386", folder, jobs=2).to_json()
    assert json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert one["paths"][1]["layers"][2]["macs_per_instruction"] > 0


def test_hot_spots_are_source_lines(folder):
    found = profile("mps2-an386", folder, hot_spots=3)
    assert len(found.hot) == 3
    assert all("(toy_model.c:" in spot.line for spot in found.hot)
    assert found.hot[0].instructions >= found.hot[1].instructions > 0


def test_accesses_are_counted_by_memory(folder):
    counts = profile("mps2-an386", folder, preset=load_preset("l4r5")).counts
    add = [d for d in counts.data if d.path == 1 and d.region == profiler.FIRST_LAYER + 1]
    inferences = sum(1 for path, _ in counts.samples if path == 1)
    # Eight input bytes and four output bytes lie in RAM.
    assert sum(d.other_accesses for d in add) >= 12 * inferences
    assert all(d.region != profiler.OUTSIDE for d in counts.data)


@pytest.mark.parametrize("board", ["mps2-an386", "mps3-an547", "microbit"])
def test_without_a_host_compiler_layers_are_timed(board, folder, monkeypatch):
    exact = profile(board, folder)

    def missing():
        raise ToolMissingError("gcc is not installed")

    monkeypatch.setattr(profiler, "plugin_library", missing)
    timed = profile(board, folder)
    assert timed.method == "counter" and "gcc is not installed" in timed.note
    assert timed.total == exact.total
    for a, b in zip(exact.paths, timed.paths, strict=True):
        assert [r.name for r in a.layers] == [r.name for r in b.layers]
        for row, other in zip(a.layers, b.layers, strict=True):
            assert abs(row.instructions - other.instructions) <= 5 * a.inferences


def test_disagreement_with_the_counter_is_found(folder, monkeypatch):
    def one_too_few(path):
        counts = blocks.read_counts(path)
        counts.samples = [(p, n - 1) for p, n in counts.samples]
        return counts

    monkeypatch.setattr(profiler, "read_counts", one_too_few)
    with pytest.raises(VerificationError, match="disagree on 24 inferences"):
        profile("mps2-an386", folder)


def test_cut_plugin_output_is_an_error(tmp_path):
    (tmp_path / "counts").write_text("block 0 100 4\n")
    with pytest.raises(TargetError, match="not complete"):
        blocks.read_counts(tmp_path / "counts")


def test_host_has_no_instruction_counts(folder):
    with pytest.raises(InputError, match="host has no counter"):
        profile("host", folder)


def test_statistics_are_values_that_occurred():
    samples = np.array([10] * 90 + [1000] * 10)
    assert profiler.statistics(samples) == {"mean": 109, "p50": 10, "p95": 1000, "worst": 1000}


ASSEMBLY = """
  .syntax unified
  .cpu cortex-m55
  .thumb
  .global board_reset
  .type board_reset, %function
board_reset:
  ldr r3, [r4, #8]!
  ldrd r0, r1, [r2], #8
  ldmia r5!, {r0-r3, r8}
  strd r0, r1, [sp, #-8]!
  push {r4-r6, lr}
  smlald r2, r3, r4, r5
  smlabb r0, r1, r2, r3
  mla r0, r1, r2, r3
  adds r0, r1
  cmp r0, #4
  ite ls
  movls r1, #1
  addhi r1, r2, r3
  sdiv r0, r1, r2
  dls lr, r6
1:
  vldrb.s16 q1, [r0], #8
  vmlava.s16 r4, q0, q1
  vadd.i32 q2, q2, q3
  le lr, 1b
  bls 1b
  cbz r0, 2f
  nop
2:
  pop {r4-r6, pc}
"""


@pytest.fixture(scope="module")
def decoded(folder):
    from trecx.targets.build import build_firmware

    quoted = "\n".join(f'"{line}\\n"' for line in ASSEMBLY.splitlines() if ".cpu" not in line)
    (folder / "asm.c").write_text(
        f"__asm__({quoted.replace('board_reset', 'sequence')});\nvoid sequence(void);\n"
        "int trecx_app(void) { sequence(); return 0; }\n"
    )
    program = build_firmware([], "mps3-an547", folder / "asm.c", folder / "asm")
    start = next(s for s in program.image.symbols if s.name == "sequence").address
    code = disassemble(program.elf, "mve")
    found, address = [], start
    while not found or found[-1].base != "pop":
        found.append(code[address])
        address = found[-1].end
    return found


def by_base(decoded, base):
    return next(i for i in decoded if i.base == base)


@pytest.mark.parametrize(
    ("base", "kind", "reads", "writes"),
    [
        ("ldr", Kind.LOAD, {"r4"}, {"r3", "r4"}),
        ("ldrd", Kind.LOAD, {"r2"}, {"r0", "r1", "r2"}),
        ("ldmia", Kind.LOAD, {"r5"}, {"r0", "r1", "r2", "r3", "r8", "r5"}),
        ("strd", Kind.STORE, {"r0", "r1", "sp"}, {"sp"}),
        ("push", Kind.STORE, {"r4", "r5", "r6", "lr", "sp"}, {"sp"}),
        ("pop", Kind.LOAD, {"sp"}, {"r4", "r5", "r6", "pc", "sp"}),
        ("smlald", Kind.MAC, {"r2", "r3", "r4", "r5"}, {"r2", "r3"}),
        ("smlabb", Kind.MAC, {"r1", "r2", "r3"}, {"r0"}),
        ("mla", Kind.MAC, {"r1", "r2", "r3"}, {"r0"}),
        ("cmp", Kind.ALU, {"r0"}, {"flags"}),
        ("mov", Kind.ALU, {"flags"}, {"r1"}),
        ("sdiv", Kind.DIVIDE, {"r1", "r2"}, {"r0"}),
        ("dls", Kind.BRANCH, {"r6"}, {"lr"}),
        ("vldrb", Kind.LOAD, {"r0"}, {"q1", "r0"}),
        ("vmlava", Kind.MAC, {"r4", "q0", "q1"}, {"r4"}),
        ("vadd", Kind.VECTOR, {"q2", "q3"}, {"q2"}),
        ("le", Kind.BRANCH, {"lr"}, {"lr"}),
        ("b", Kind.BRANCH, {"flags"}, set()),
        ("cbz", Kind.BRANCH, {"r0"}, set()),
    ],
)
def test_instructions_are_decoded(decoded, base, kind, reads, writes):
    found = by_base(decoded, base)
    assert (found.kind, found.reads, found.writes) == (kind, reads, writes)


def test_branches_know_their_target_and_conditions(decoded):
    load = by_base(decoded, "vldrb")
    assert by_base(decoded, "le").target == load.address
    assert by_base(decoded, "b").target == load.address and by_base(decoded, "b").conditional
    added = [i for i in decoded if i.base == "add"]
    assert [i.conditional for i in added] == [False, True]
    assert added[0].reads == {"r0", "r1"} and added[0].writes == {"r0", "flags"}
