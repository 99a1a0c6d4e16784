"""Running models on boards: results, exact counts, parallel runs, and all that goes wrong."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support import toy
from trecx.errors import (
    CapacityError,
    FaultError,
    InputError,
    MemoryGuardError,
    TargetError,
    TargetTimeoutError,
    ToolMissingError,
    VerificationError,
)
from trecx.targets import batch, toolchain
from trecx.targets.batch import run_batch
from trecx.targets.blocks import count_instructions
from trecx.targets.boards import board_names, list_boards, load_board
from trecx.targets.build import build_firmware
from trecx.targets.qemu import Emulator, instructions_from_ticks, most_instructions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("firmware")


def firmware(board, folder, **options):
    return toy.toy_firmware(board, folder / board, **options)


def run(board, folder, x, **options):
    return run_batch(firmware(board, folder), load_board(board), x, **options)


def no_emulator_is_left():
    """No child process of this one is an emulator, not even a zombie."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
        except (OSError, ValueError):
            continue
        if fields["PPid"] == str(os.getpid()) and fields["Name"].startswith("qemu-system"):
            return False
    return True


def test_every_board_is_emulated_or_the_host():
    cores = {board.core for board in list_boards()}
    assert {"host", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7"} <= cores
    assert {"cortex-m33", "cortex-m55"} <= cores
    for board in list_boards():
        assert board.is_host or (board.machine and board.flash_bytes and board.ram_bytes)
        assert all(path.is_file() for path in board.sources)


@pytest.mark.parametrize("board", board_names())
def test_results_and_memory_on_every_board(board, folder):
    x = toy.toy_inputs(20)
    result = run(board, folder, x, jobs=1)
    exits, outputs = toy.toy_answers(x)
    assert np.array_equal(result.exit_index, exits)
    assert np.array_equal(result.outputs, outputs)
    assert np.array_equal(result.class_index, outputs.argmax(1))
    assert result.segment_count == 2 and result.arena_bytes == 64
    if board == "host":
        assert result.instructions is None and result.stack_used is None
        return
    early, full = result.instructions[exits == 0], result.instructions[exits == 1]
    assert early.max() < full.min()
    assert 100 < result.stack_used < result.stack_size == load_board(board).stack_bytes


LOOP_APP = """
#include "trecx/board.h"

__attribute__((noipa)) static uint32_t spin(uint32_t n) {
  __asm__ volatile(".syntax unified\\n 1: subs %0, #1\\n bne 1b" : "+l"(n)::"cc");
  return n;
}

__attribute__((noipa)) static uint32_t timed(uint32_t n) {
  const uint32_t start = board_counter();
  spin(n);
  return board_counter() - start;
}

int trecx_app(void) {
  const int output = board_open("out", BOARD_WRITE);
  for (uint32_t i = 1; i <= 100; i++) {
    const uint32_t ticks = timed(i < 100 ? i : 1000001);
    board_write(output, &ticks, sizeof ticks);
  }
  return 0;
}
"""


@pytest.mark.parametrize("board", toy.EMULATED)
def test_counter_is_exact_to_the_instruction(board, folder, tmp_path):
    """Each round of the loop is two instructions, whatever lies around it."""
    (tmp_path / "loop.c").write_text(LOOP_APP)
    program = build_firmware([], board, tmp_path / "loop.c", tmp_path)
    with Emulator(load_board(board), program.elf, tmp_path) as emulator:
        assert emulator.wait(60) == 0
    ticks = np.fromfile(tmp_path / "out", "<u4")
    counter_hz = batch_counter_hz(board, folder)
    spent = instructions_from_ticks(ticks, counter_hz)
    assert np.array_equal(np.diff(spent[:99]), np.full(98, 2))
    assert spent[99] - spent[0] == 2 * 1_000_000
    counts = count_instructions(program.elf, board, workdir=tmp_path)
    spins = next(c for name, c in counts.items() if name.startswith("spin"))
    # The loop's own instructions and the return (the compiler may move the argument, too).
    rounds = sum(range(1, 100)) + 1_000_001
    assert spins.calls == 100 and spins.instructions - 2 * rounds in (100, 200)


def batch_counter_hz(board, folder):
    """Rate of the board's counter, from the symbol that the firmware itself uses."""
    image = firmware(board, folder).image
    symbol = next(s for s in image.symbols if s.name == "board_counter_hz")
    return int.from_bytes(image.code(symbol.address, 4), "little")


def test_ticks_convert_exactly_whatever_the_phase():
    for hz in (16_000_000, 20_000_000, 25_000_000, 32_000_000):
        n = np.array([0, 1, 2, 3, 1000, 999_999_937])
        for phase in (0.0, 0.3, 0.999):
            ticks = np.floor(n * 128e-9 * hz + phase)
            assert np.array_equal(instructions_from_ticks(ticks, hz), n)
    assert most_instructions(25_000_000) > 10**9


def test_order_and_counts_do_not_depend_on_the_number_of_processes(folder):
    x = toy.toy_inputs(50, seed=3)
    seen = []
    one = run("mps2-an386", folder, x, jobs=1)
    two = run("mps2-an386", folder, x, jobs=2, progress=lambda *done: seen.append(done))
    assert np.array_equal(one.outputs, two.outputs)
    assert np.array_equal(one.instructions, two.instructions)
    assert seen[-1] == (50, 50) and [d for d, _ in seen] == sorted(d for d, _ in seen)


def test_fault_shows_registers_and_source_line(folder):
    with pytest.raises(FaultError) as caught:
        run("mps2-an386", folder, toy.misbehaving(toy.UNDEFINED_INSTRUCTION))
    message = str(caught.value)
    assert "usage fault (undefined instruction) in sample 2" in message
    assert "misbehave (toy_model.c:" in message
    assert "pc=" in message and "lr=" in message and "r0=" in message


@pytest.mark.parametrize("board", toy.EMULATED)
def test_wild_read_is_a_fault_on_every_board(board, folder):
    with pytest.raises(FaultError, match=r"in sample 2 at 0x[0-9a-f]+ in misbehave"):
        run(board, folder, toy.misbehaving(toy.WILD_READ))


@pytest.mark.parametrize("board", toy.EMULATED)
def test_write_to_flash_is_a_fault_on_every_board(board, folder):
    with pytest.raises(FaultError, match="in sample 2"):
        run(board, folder, toy.misbehaving(toy.WRITE_TO_FLASH))


def test_fault_names_the_faulting_address(folder):
    with pytest.raises(FaultError, match="faulting address 0xa8000000"):
        run("mps2-an386", folder, toy.misbehaving(toy.WILD_READ))


@pytest.mark.parametrize("board", toy.EMULATED)
def test_stack_overflow_is_reported_on_every_board(board, folder):
    size = load_board(board).stack_bytes
    place = r"in toy_recurse \(toy_model.c:\d+\)"
    message = rf"stack overflow in sample 2 at 0x[0-9a-f]+ {place}: more than {size:,} bytes"
    with pytest.raises(MemoryGuardError, match=message):
        run(board, folder, toy.misbehaving(toy.STACK_OVERFLOW))


@pytest.mark.parametrize("board", ["host", "mps2-an386", "mps3-an547"])
def test_damaged_arena_guard_is_reported(board, folder):
    with pytest.raises(MemoryGuardError, match=r"guard word beside the arena.*in sample 2"):
        run(board, folder, toy.misbehaving(toy.ARENA_OVERFLOW))


def test_model_error_is_reported(folder):
    with pytest.raises(TargetError, match="the model returned an error in sample 2"):
        run("mps2-an386", folder, toy.misbehaving(toy.NEGATIVE_STATUS))


def test_endless_loop_times_out_with_its_place(folder):
    with pytest.raises(
        TargetTimeoutError, match=r"in sample 2: .*in toy_loop_forever \(toy_model.c:"
    ):
        run("mps2-an386", folder, toy.misbehaving(toy.ENDLESS_LOOP), timeout=1.0)
    assert no_emulator_is_left()


def test_endless_loop_on_the_host_times_out(folder):
    with pytest.raises(TargetTimeoutError, match="in sample 2"):
        run("host", folder, toy.misbehaving(toy.ENDLESS_LOOP), timeout=1.0)


def test_sanitizer_reports_are_faults(folder):
    program = toy.toy_firmware("host", folder / "sanitized", sanitize=True)
    assert len(run_batch(program, load_board("host"), toy.toy_inputs(5))) == 5
    with pytest.raises(FaultError, match=r"sanitizer report in sample 2: .*stack-overflow"):
        run_batch(program, load_board("host"), toy.misbehaving(toy.STACK_OVERFLOW))


def killed_once(monkeypatch, kill_all):
    """Kill the emulator of the first attempt, or of all, when its first record has come."""
    started = []

    class Dying(Emulator):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.first = not started
            started.append(self)

        def wait(self, timeout):
            if self.first or kill_all:
                self.process.kill()
            return super().wait(timeout)

    monkeypatch.setattr(batch, "Emulator", Dying)
    return started


def test_dead_emulator_is_started_again_once(folder, monkeypatch):
    started = killed_once(monkeypatch, kill_all=False)
    x = toy.toy_inputs(30)
    result = run("mps2-an386", folder, x, jobs=1)
    assert len(started) == 2
    assert np.array_equal(result.outputs, toy.toy_answers(x)[1])


def test_emulator_that_dies_again_is_reported(folder, monkeypatch):
    started = killed_once(monkeypatch, kill_all=True)
    with pytest.raises(TargetError, match="ended by signal 9"):
        run("mps2-an386", folder, toy.toy_inputs(30), jobs=1)
    assert len(started) == 2
    assert no_emulator_is_left()


HANGING = """
import sys
from pathlib import Path
from trecx.targets.boards import load_board
from trecx.targets.qemu import Emulator

emulator = Emulator(load_board("mps2-an386"), Path(sys.argv[1]), Path(sys.argv[2]))
print(emulator.process.pid, flush=True)
emulator.process.wait()
"""


def is_running(process):
    """Of a folder in /proc. Ended, but not yet collected by the system, is not running."""
    try:
        return "zombie" not in (process / "status").read_text()
    except OSError:
        return False


def test_emulator_dies_with_a_process_that_is_killed(tmp_path):
    (tmp_path / "hang.c").write_text("int trecx_app(void) {\n  for (;;) {\n  }\n}\n")
    program = build_firmware([], "mps2-an386", tmp_path / "hang.c", tmp_path)
    command = [sys.executable, "-c", HANGING, str(program.elf), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        emulator = Path("/proc") / process.stdout.readline().strip()
        # Before that it is setpriv, which has yet to ask for its end with the parent's.
        while "qemu" not in (emulator / "exe").readlink().name:
            time.sleep(0.01)
        process.kill()
    deadline = time.monotonic() + 20
    while is_running(emulator):
        assert time.monotonic() < deadline, "the emulator outlived its parent"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 9), np.int8), "takes 8 input bytes a sample; got 9"),
        (np.zeros((0, 8), np.int8), "non-empty int8 array"),
        (np.zeros((3, 8), np.float32), "non-empty int8 array .* got float32"),
    ],
)
def test_wrong_inputs_are_refused(x, message, folder):
    with pytest.raises(InputError, match=message):
        run("mps2-an386", folder, x)


def test_firmware_of_another_board_is_refused(folder):
    with pytest.raises(InputError, match="for mps2-an386, not for mps2-an500"):
        run_batch(firmware("mps2-an386", folder), load_board("mps2-an500"), toy.toy_inputs(1))


def test_unknown_board_and_application_offer_what_there_is(folder):
    with pytest.raises(InputError, match="did you mean 'mps2-an386'"):
        load_board("mps2-386")
    with pytest.raises(InputError, match="applications: batch"):
        toy.toy_firmware("host", folder, app="batchh")


def test_capacity_is_checked_before_building(folder):
    with pytest.raises(CapacityError, match=r"needs at least 300,000 bytes of flash.* has 262,144"):
        build_firmware([], "microbit", "batch", folder / "none", flash_bytes=300_000)
    with pytest.raises(CapacityError, match=r"17,048 bytes of RAM \(2,048 of them stack\)"):
        build_firmware([], "microbit", "batch", folder / "none", ram_bytes=15_000)
    assert not (folder / "none").exists()


def test_capacity_is_checked_when_linking(folder, tmp_path):
    (tmp_path / "big.c").write_text(
        "int big[5000] = {1};\nint trecx_app(void) { return ((volatile int *)big)[3]; }\n"
    )
    with pytest.raises(CapacityError, match="bytes of RAM, but board microbit has 16,384"):
        build_firmware([], "microbit", tmp_path / "big.c", tmp_path)
    assert not list(tmp_path.glob("*.elf"))


def test_code_that_does_not_compile_leaves_nothing_behind(tmp_path):
    (tmp_path / "bad.c").write_text("int trecx_app(void) { int unused; return 0; }\n")
    with pytest.raises(VerificationError, match="unused variable"):
        build_firmware([], "mps2-an386", tmp_path / "bad.c", tmp_path / "out")
    assert not list(tmp_path.rglob("*.elf"))


def test_objects_are_cached_by_content(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TRECX_CACHE", str(tmp_path / "cache"))
    first = toy.toy_firmware.__wrapped__("mps2-an386", tmp_path / "a")
    objects = {p: p.stat().st_ino for p in (tmp_path / "cache").rglob("*.o")}
    again = toy.toy_firmware.__wrapped__("mps2-an386", tmp_path / "b")
    assert {p: p.stat().st_ino for p in (tmp_path / "cache").rglob("*.o")} == objects
    assert first.elf.read_bytes() == again.elf.read_bytes()
    copy = tmp_path / "elsewhere" / toy.SOURCE.name
    copy.parent.mkdir()
    copy.write_bytes(toy.SOURCE.read_bytes())
    build_firmware([copy], "mps2-an386", "batch", tmp_path / "d", model="toy_model")
    assert len(list((tmp_path / "cache").rglob("*.o"))) == len(objects)
    toy.toy_firmware.__wrapped__("mps2-an386", tmp_path / "c", optimize="Os")
    assert len(list((tmp_path / "cache").rglob("*.o"))) > len(objects)


def test_one_model_gives_one_file_wherever_it_is_built(tmp_path, monkeypatch):
    """Other folders of sources, headers, objects and the current one: the same bytes."""
    programs = []
    for name in ("a", "elsewhere/b"):
        folder = tmp_path / name
        (folder / "c").mkdir(parents=True)
        (folder / "c" / "number.h").write_text("static const int number = 3;\n")
        source = '#include "number.h"\n\nint more(void);\n\nint more(void) { return number; }\n'
        (folder / "c" / "more.c").write_text(source)
        app = "int more(void);\nint trecx_app(void);\n\nint trecx_app(void) { return more(); }\n"
        (folder / "app.c").write_text(app)
        monkeypatch.setenv("TRECX_CACHE", str(folder / "cache"))
        monkeypatch.chdir(folder)
        sources, headers = ([Path("c/more.c")], [Path("c")])
        if name != "a":
            sources, headers = [folder / "c" / "more.c"], [folder / "c"]
        built = build_firmware(sources, "mps2-an386", "app.c", "out", include_dirs=headers)
        programs.append(built.elf.read_bytes())
    assert programs[0] == programs[1]
    assert b".debug_info" in programs[0] and str(tmp_path).encode() not in programs[0]


def test_changed_header_is_compiled_again(tmp_path):
    (tmp_path / "number.h").write_text("#define NUMBER 3\n")
    app = tmp_path / "app.c"
    app.write_text('#include "number.h"\n\nint trecx_app(void) { return NUMBER; }\n')
    statuses = []
    for number in (3, 4):
        (tmp_path / "number.h").write_text(f"#define NUMBER {number}\n")
        program = build_firmware([], "mps2-an386", app, tmp_path)
        with Emulator(program.board, program.elf, tmp_path) as emulator:
            statuses.append(emulator.wait(20))
    assert statuses == [3, 4]


def test_memory_by_section(folder):
    program = firmware("mps2-an386", folder)
    assert program.section_bytes(".stack") == program.board.stack_bytes
    parts = sum(program.section_bytes(s) for s in (".vectors", ".text", ".rodata", ".data"))
    assert 0 <= program.flash_bytes - parts < 64
    symbol = program.image.function("toy_s1_01_add")
    assert program.source_line(symbol.address).startswith("toy_s1_01_add (toy_model.c:")


def test_missing_tools_say_how_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    toolchain.find_tool.cache_clear()
    try:
        with pytest.raises(ToolMissingError, match="apt-get install qemu-system-arm"):
            toolchain.find_tool("qemu-system-arm")
        with pytest.raises(ToolMissingError, match="gcc-arm-none-eabi libnewlib-arm-none-eabi"):
            toolchain.find_tool("arm-none-eabi-gcc")
    finally:
        toolchain.find_tool.cache_clear()
