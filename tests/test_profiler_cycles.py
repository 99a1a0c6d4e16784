"""The cycle model: micro-kernels whose timing the manuals state, caches, and honest error bars."""

import numpy as np
import pytest

from tests.support import toy
from trecx.errors import InputError
from trecx.targets import profiler
from trecx.targets.boards import load_board
from trecx.targets.build import build_firmware
from trecx.targets.core_timing import HIGH, LOW, NOMINAL, core_timing, transfers
from trecx.targets.cycles import estimate
from trecx.targets.disassembly import disassemble
from trecx.targets.presets import list_presets, load_preset, zero_wait_preset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("firmware")


# What the Cortex-M3 and M4 manuals say of short sequences at zero wait states, P cycles being a
# pipeline refill. One function each: name -> (assembly, cycles on M4 with P = 2).
M4_SEQUENCES = {
    "one_load": ("ldr r0, [r1]", 2),
    "two_loads": ("ldr r0, [r1]\nldr r2, [r3]", 3),
    "three_loads": ("ldr r0, [r1, r5]\nldr r4, [r2]\nldr r2, [r3, #4]", 4),
    "load_then_store_of_it": ("ldr r0, [r1, r2]\nstr r0, [r3, #20]", 3),
    "load_of_loaded_address": ("ldr r0, [r1]\nldr r2, [r0]", 4),
    "two_loads_with_moving_base": ("ldr r0, [r1], #4\nldr r2, [r1], #4", 3),
    "load_used_by_alu": ("ldr r0, [r1]\nadds r0, r0, r2", 3),
    "store": ("str r0, [r1, #4]", 1),
    "store_then_load": ("str r0, [r1, #4]\nldr r2, [r3]", 3),
    "load_multiple_of_three": ("ldmia r0, {r1, r2, r3}", 4),
    "store_multiple_of_eight": ("stmia r0!, {r1-r8}", 9),
    "load_double": ("ldrd r0, r1, [r2]", 3),
    "push_of_five": ("push {r4-r7, lr}", 6),
    "address_from_alu": ("adds r1, r2, r3\nldr r0, [r1]", 4),
    "multiply": ("mul r0, r1, r2", 1),
    "multiply_accumulate": ("mla r0, r1, r2, r3", 1),
    "dual_multiply_accumulate": ("smlad r0, r1, r2, r3", 1),
    "long_multiply": ("smull r0, r1, r2, r3", 1),
    "long_multiply_accumulate": ("smlal r0, r1, r2, r3", 1),
    "float_multiply_accumulate": ("vmla.f32 s0, s1, s2", 3),
    "float_divide": ("vdiv.f32 s0, s1, s2", 14),
    "it_after_narrow": ("cmp r0, #1\nit eq\nmoveq r0, #2", 2),
}
# The same on a Cortex-M3 where it differs.
M3_CYCLES = {"multiply_accumulate": 2, "long_multiply": 4, "long_multiply_accumulate": 5}


@pytest.fixture(scope="module")
def sequences(folder):
    """Each sequence as decoded instructions, without the return."""
    body = "".join(
        f'__asm__(".syntax unified\\n.thumb\\n.type {name}, %function\\n{name}:\\n'
        + text.replace("\n", "\\n")
        + "\\nbx lr\\n.size "
        + f'{name}, .-{name}\\n");\n'
        for name, (text, _) in M4_SEQUENCES.items()
    )
    keep = "".join(f"void {name}(void);\n" for name in M4_SEQUENCES)
    calls = "".join(f"  {name}();\n" for name in M4_SEQUENCES)
    source = folder / "sequences.c"
    source.write_text(f"{body}{keep}int trecx_app(void) {{\n{calls}  return 0;\n}}\n")
    program = build_firmware([], "mps2-an386", source, folder)
    code = disassemble(program.elf, "dsp")
    found = {}
    for name in M4_SEQUENCES:
        start = next(s for s in program.image.symbols if s.name == name).address
        listed = []
        while code[start].base != "bx":
            listed.append(code[start])
            start = code[start].end
        found[name] = listed
    return found


def cycles(core, code, jumps=None, how=NOMINAL):
    return core_timing(core).cycles(code, jumps or [False] * len(code), how)


@pytest.mark.parametrize("name", M4_SEQUENCES)
def test_sequences_take_what_the_manual_says_on_m4(name, sequences):
    assert cycles("cortex-m4", sequences[name]) == M4_SEQUENCES[name][1]


@pytest.mark.parametrize("name", [n for n in M4_SEQUENCES if not n.startswith(("float", "dual"))])
def test_sequences_take_what_the_manual_says_on_m3(name, sequences):
    assert cycles("cortex-m3", sequences[name]) == M3_CYCLES.get(name, M4_SEQUENCES[name][1])


def test_words_moved_are_counted(sequences):
    assert transfers(sequences["store_multiple_of_eight"][0]) == 8
    assert transfers(sequences["push_of_five"][0]) == 5
    assert transfers(sequences["load_double"][0]) == 2
    assert transfers(sequences["one_load"][0]) == 1


def test_m33_waits_for_results(sequences):
    """Latency two: a load that is used at once costs a cycle more than one that is not."""
    assert cycles("cortex-m33", sequences["two_loads"]) == 2
    assert cycles("cortex-m33", sequences["two_loads_with_moving_base"]) == 2
    assert cycles("cortex-m33", sequences["load_used_by_alu"]) == 3


def test_m7_issues_two_instructions_in_a_cycle(sequences):
    assert cycles("cortex-m7", sequences["two_loads"]) == 1
    assert cycles("cortex-m7", sequences["load_of_loaded_address"]) == 3


def test_unknowns_widen_the_range(sequences):
    for name in ("it_after_narrow", "two_loads_with_moving_base"):
        code = sequences[name]
        assert cycles("cortex-m4", code, how=LOW) < cycles("cortex-m4", code, how=HIGH)


def test_unknown_core_is_refused():
    with pytest.raises(InputError, match="no timing model of 'cortex-a53'"):
        core_timing("cortex-a53")


# --- Whole runs -----------------------------------------------------------------------------

ROUNDS = 1000

LOOP_MODEL = """
#include "trecx/model.h"

static uint8_t arena[64 + 2 * TRECX_CANARY_BYTES] __attribute__((aligned(16)));
static int8_t *loop_input(void) { return (int8_t *)arena + TRECX_CANARY_BYTES; }

static __attribute__((noinline)) void loop_s0_00_spin(void) {
  uint32_t n = %(rounds)d;
  __asm__ volatile(".syntax unified\\n .balign 16\\n 1:\\n %(body)s subs %%0, #1\\n bne 1b\\n"
                   : "+l"(n)::"cc", "memory", "r4", "r5");
}

static int loop_segment(uint32_t k, const int8_t *input, trecx_result *result) {
  (void)k;
  (void)input;
  loop_s0_00_spin();
  result->exit_index = result->class_index = 0;
  result->output = loop_input();
  return 1;
}

static int loop_invoke(const int8_t *input, trecx_result *result) {
  return loop_segment(0, input, result) - 1;
}

const trecx_model loop_model = {
    .name = "loop", .bundle_sha256 = "0", .input_bytes = 4, .output_count = 1,
    .segment_count = 1, .arena_bytes = 64, .guarded_arena = arena, .input = loop_input,
    .invoke = loop_invoke, .run_segment = loop_segment};
"""


def loop_estimate(folder, board, body="", preset=None, name="loop"):
    target = folder / f"{name}-{board}"
    target.mkdir(exist_ok=True)
    text = "".join(f"{line}\\n " for line in body.splitlines())
    (target / "loop.c").write_text(LOOP_MODEL % {"rounds": ROUNDS, "body": text})
    where = load_board(board)
    program = build_firmware([target / "loop.c"], where, "batch", target, model="loop_model")
    chosen = load_preset(preset) if preset else zero_wait_preset(where)
    taken = profiler.profile(program, where, np.zeros((1, 4), np.int8), preset=chosen)
    found = estimate(taken, chosen)
    layer = next(row for row in found.paths[0].layers if row.name == "loop_s0_00_spin")
    return found, layer.cycles


def test_counted_loop_on_m4(folder):
    """SUBS 1, taken BNE 1 + P with P from 1 to 3: 3, 4 and 5 cycles a round."""
    _, spent = loop_estimate(folder, "mps2-an386")
    assert abs(spent.nominal - 4 * ROUNDS) < 20
    assert abs(spent.low - 3 * ROUNDS) < 20
    assert abs(spent.high - 5 * ROUNDS) < 20


def test_loop_of_loads_on_m4(folder):
    """Two loads that overlap (3), SUBS, taken BNE (3): 7 cycles a round."""
    _, spent = loop_estimate(folder, "mps2-an386", "ldr r4, [sp]\nldr r5, [sp]", name="loads")
    assert abs(spent.nominal - 7 * ROUNDS) < 20


def test_loop_on_m0_and_m3(folder):
    """Cortex-M0: SUBS 1, taken branch 3. M3: as M4."""
    assert abs(loop_estimate(folder, "microbit")[1].nominal - 4 * ROUNDS) < 30
    assert abs(loop_estimate(folder, "mps2-an385")[1].nominal - 4 * ROUNDS) < 20


def test_small_loop_stays_in_the_cache(folder):
    """The flash of the real board costs a few misses at first, not one a round."""
    found, _ = loop_estimate(folder, "mps2-an386", preset="l4r5")
    assert 0 < found.paths[0].memory < 200


def test_loop_larger_than_the_cache_waits_in_every_round(folder):
    """1.6 KB of straight code through a cache of 1 KB: every fetch of 8 bytes misses."""
    body = "\n".join(["adds r4, r4, r5"] * 800)
    found, _ = loop_estimate(folder, "mps2-an386", body, "l4r5", "large")
    lines = 1600 // 8
    hidden = 8 / 2.5
    assert found.paths[0].memory > 0.9 * ROUNDS * lines * (5 + 1 - hidden)


def test_unaligned_accesses_cost_transfers(folder):
    _, aligned = loop_estimate(folder, "mps2-an386", "ldr r4, [sp, #4]", name="aligned")
    _, odd = loop_estimate(folder, "mps2-an386", "ldr.w r4, [sp, #5]", name="odd")
    assert abs(odd.nominal - aligned.nominal - 2 * ROUNDS) < 20


def test_energy_and_time_follow_from_the_cycles(folder):
    found, _ = loop_estimate(folder, "mps2-an386", preset="l4r5")
    assert found.milliseconds.nominal == pytest.approx(found.mean.nominal / 120e3)
    assert found.microjoules.low == pytest.approx(found.mean.low * 322e-6)
    assert found.microjoules.high == pytest.approx(found.mean.high * 365e-6)
    found, _ = loop_estimate(folder, "mps2-an386", preset="nrf52840")
    assert found.microjoules is None


@pytest.mark.parametrize("board", toy.EMULATED)
def test_every_board_has_an_estimate_with_error_bars(board, folder):
    where = load_board(board)
    preset = zero_wait_preset(where)
    taken = profiler.profile(
        toy.toy_firmware(board, folder / board), where, toy.toy_inputs(16), preset=preset
    )
    found = estimate(taken, preset)
    assert found.mean.low < found.mean.nominal < found.mean.high
    assert found.statistics()["worst"] >= found.statistics()["p50"]
    text = found.to_json()
    assert text["what"] == "estimate" and "estimate from executed blocks" in text["basis"]
    early, full = found.paths
    assert early.cycles.nominal < full.cycles.nominal
    for path in found.paths:
        parts = sum(layer.cycles.nominal for layer in path.layers)
        assert parts == pytest.approx(path.cycles.nominal)
    # Between one instruction in half a cycle and one in three cycles, on any of these cores.
    assert 0.5 < found.mean.nominal / taken.statistics()["mean"] < 3


def test_presets_need_their_core_and_their_own_profile(folder):
    where = load_board("mps2-an386")
    program = toy.toy_firmware("mps2-an386", folder / "mps2-an386")
    plain = profiler.profile(program, where, toy.toy_inputs(4))
    with pytest.raises(InputError, match="profile with this preset"):
        estimate(plain, load_preset("l4r5"))
    with pytest.raises(InputError, match="has a cortex-m7, but the profile is of a cortex-m4"):
        estimate(plain, load_preset("h7a3"))
    with pytest.raises(InputError, match="did you mean 'l4r5'"):
        load_preset("l4r")
    assert {p.name for p in list_presets("cortex-m4")} == {"l4r5", "nrf52840"}
