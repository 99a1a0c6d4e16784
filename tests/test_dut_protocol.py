"""The MLPerf Tiny device under test: its protocol, its robustness, and our host side."""

import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
import serial

from tests.support import toy
from trecx.errors import FaultError, InputError, TargetError, TargetTimeoutError
from trecx.targets.batch import run_batch
from trecx.targets.boards import load_board
from trecx.targets.cycles import estimate
from trecx.targets.mlperf_dut import (
    DutModel,
    DutServer,
    InputKind,
    PseudoTerminal,
    TimeBase,
    build_dut,
)
from trecx.targets.mlperf_host import (
    Dut,
    Link,
    accuracy,
    area_under_curve,
    performance,
)
from trecx.targets.presets import load_preset
from trecx.targets.profiler import profile

OUTPUTS = ((1 / 256, -128), (1 / 256, -128))
KWS = DutModel("kws01", InputKind.INT8, 8, 0.5, 3, OUTPUTS)
PIXELS = DutModel("ic01", InputKind.UINT8, 8, 1.0, -128, OUTPUTS)
ANOMALY = DutModel("ad01", InputKind.FLOAT32, 8, 0.25, 5, ((0.25, 5), (0.25, 5)), anomaly=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dut")


def build(board, folder, dut=KWS, **options):
    return build_dut(
        [toy.SOURCE], board, folder / f"{dut.id}-{board}", model="toy_model", dut=dut, **options
    )


class HostDevice:
    """The firmware as a native program with sanitizers, its UART on two pipes."""

    def __init__(self, firmware):
        self.process = subprocess.Popen(
            [str(firmware.elf)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self):
        assert self.answer() == ["m-init-done"]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(20) == 0, self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()

    def answer(self):
        lines = []
        while True:
            line = self.process.stdout.readline().decode("ascii")
            assert line.endswith("\r\n"), (line, self.process.stderr.peek())
            if line == "m-ready\r\n":
                return lines
            lines.append(line[:-2])

    def send(self, data):
        self.process.stdin.write(data if isinstance(data, bytes) else data.encode())
        self.process.stdin.flush()

    def __call__(self, command):
        self.send(command + "%")
        return self.answer()


@pytest.fixture(scope="module")
def native(folder):
    return build("host", folder, sanitize=True)


@pytest.fixture
def device(native):
    with HostDevice(native) as started:
        yield started


def load(device, data):
    assert device(f"db load {len(data)}") == [f"m-[Expecting {len(data)} bytes]"]
    for start in range(0, len(data), 31):
        last = device("db " + data[start : start + 31].hex())
    assert last == ["m-load-done"]


def test_every_command_answers_as_the_protocol_says(device):
    assert device("name") == ["m-name-dut-[trecx]"]
    assert device("profile") == [
        "m-profile-[ULPMark for tinyML Firmware V0.0.1]",
        "m-model-[kws01]",
    ]
    assert device("timestamp")[0].startswith("m-lap-us-")
    load(device, bytes([0, 1, 2, 3, 4, 5, 6, 255]))
    assert device("db print") == ["m-buffer-00-01-02-03-04-05-06-ff"]
    lines = device("infer 3 2")
    assert [x for x in lines if "lap" not in x] == [
        "m-warmup-start-2",
        "m-warmup-done",
        "m-infer-start-3",
        "m-infer-done",
        # Exit not taken: 0+4, 1+5, 2+6, 3-1.
        "m-results-[0.516,0.523,0.531,0.508]",
    ]
    assert [x.startswith("m-lap-us-") for x in lines] == [0, 0, 0, 1, 1, 0, 0]
    assert device("results") == ["m-results-[0.516,0.523,0.531,0.508]"]


def test_defaults_of_infer(device):
    load(device, bytes(8))
    lines = device("infer")
    assert "m-infer-start-1" in lines and "m-warmup-start-10" in lines


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("foo bar", "e-[Unknown command: foo]"),
        ("", "e-[Unknown command: ]"),
        ("NAME", "e-[Unknown command: NAME]"),
        ("db", "e-[Command 'db' requires a subcommand]"),
        ("db load", "e-[Command 'db load' requires the number of bytes, above 0]"),
        ("db load 0", "e-[Command 'db load' requires the number of bytes, above 0]"),
        ("db load -4", "e-[Command 'db load' requires the number of bytes, above 0]"),
        ("db load 4294967297", "e-[Command 'db load' requires the number of bytes, above 0]"),
        ("db load 9", "e-[Command 'db load' takes at most 8 bytes]"),
        ("db 00", "e-[No load is going on: begin with 'db load']"),
        ("db 001", "e-[Insufficient number of hex digits]"),
        ("db 00zz", "e-[Invalid hex digit 'zz']"),
        ("infer 0", "e-[Inference iterations must be >0]"),
        ("infer x", "e-[Inference iterations must be >0]"),
        ("infer 1 -1", "e-[Inference warmup must be >=0]"),
        ("infer 1 0", "e-[Input has 0 bytes, the model takes 8]"),
        ("results", "e-[There are no results: run 'infer' first]"),
        ("x" * 97, "e-[Command is longer than 96 characters]"),
        ("x" * 100_000, "e-[Command is longer than 96 characters]"),
    ],
)
def test_errors_are_answered_and_leave_nothing_behind(command, error, device):
    assert device(command) == [error]
    assert device("name") == ["m-name-dut-[trecx]"]
    load(device, bytes(8))
    assert device("infer 1 0")[-1] == "m-results-[0.500,0.500,0.500,0.500]"


def test_errors_in_a_load_do_not_disturb_it(device):
    device("db load 8")
    assert device("db 01020304") == []
    for wrong in ("db 05zz", "db 050", "db load 9", "nonsense", "x" * 200, "infer 1 0"):
        assert device(wrong)[0].startswith("e-[")
    assert device("db 05060708") == ["m-load-done"]
    assert device("db print") == ["m-buffer-01-02-03-04-05-06-07-08"]


def test_load_can_begin_again_in_its_middle(device):
    device("db load 8")
    device("db ffff")
    load(device, bytes(range(8)))
    assert device("db print") == ["m-buffer-00-01-02-03-04-05-06-07"]


def test_digits_beyond_the_load_are_disregarded(device):
    device("db load 4")
    assert device("db " + "11" * 31) == ["m-load-done"]
    assert device("db print") == ["m-buffer-11-11-11-11"]
    assert device("infer 1 0") == ["e-[Input has 4 bytes, the model takes 8]"]


def test_results_survive_errors(device):
    load(device, bytes(8))
    device("infer 1 0")
    before = device("results")
    device("infer 0")
    device("db load 99999")
    assert device("results") == before


def test_commands_may_come_in_pieces_and_with_line_ends(device):
    for byte in b"\r\nna\r\nme":
        device.send(bytes([byte]))
        time.sleep(0.005)
    device.send("%")
    assert device.answer() == ["m-name-dut-[trecx]"]
    device.send("name%\r\nname%\r\n")
    assert device.answer() == device.answer() == ["m-name-dut-[trecx]"]


def test_ten_thousand_commands(device):
    generator = random.Random(1)
    kinds = {
        "name": "m-name-dut-[trecx]",
        "db load 0": "e-[Command 'db load' requires the number of bytes, above 0]",
        "db load 8": "m-[Expecting 8 bytes]",
        "what": "e-[Unknown command: what]",
    }
    sent = [generator.choice(list(kinds)) for _ in range(10_000)]
    for start in range(0, len(sent), 100):
        part = sent[start : start + 100]
        device.send("".join(f"{command}%" for command in part))
        assert [device.answer() for _ in part] == [[kinds[command]] for command in part]


def test_noise_on_the_line_is_answered_command_by_command(device):
    """Whatever comes: one m-ready for each end mark, and a device that still works."""
    generator = random.Random(7)
    words = [b"db ", b"load ", b"infer ", b"00", b"ff", b"8", b" ", b"name", b"print", b"%", b"-1"]
    for _ in range(200):
        pieces = [generator.choice(words) for _ in range(generator.randrange(12))]
        pieces.append(generator.randbytes(generator.randrange(20)))
        noise = b"".join(pieces)
        device.send(noise + b"%")
        for _ in range(noise.count(b"%") + 1):
            device.answer()
    assert device("name") == ["m-name-dut-[trecx]"]


# --- On the emulated boards -------------------------------------------------------------------


@pytest.mark.parametrize("board", toy.EMULATED)
def test_device_on_every_board_gives_what_run_gives(board, folder):
    x = toy.toy_inputs(12)
    x[:, 7] = np.clip(x[:, 7], -100, 100)
    batch = run_batch(
        toy.toy_firmware(board, folder / f"batch-{board}"), load_board(board), x, jobs=1
    )
    with DutServer(build(board, folder)) as server:
        dut = Dut(Link.over(server.line))
        assert server.greeting == "m-init-done\r\nm-ready\r\n"
        assert dut.name() == "trecx"
        found = accuracy(dut, [row.tobytes() for row in x], batch.class_index)
    assert found.metric == "top-1" and found.value == 1.0
    expected = (batch.outputs.astype(float) + 128) / 256
    assert np.abs(found.scores - expected).max() <= 0.0005 + 1e-9


def served(board, folder, **options):
    return DutServer(build(board, folder, **options))


def connected(server):
    return Dut(Link.over(server.line))


def test_time_is_virtual_exact_and_repeats(folder):
    """Ten inferences of one instruction count each, at one instruction a cycle of 25 MHz."""
    x = toy.toy_inputs(1)
    x[0, 0], x[0, 7] = 5, 0
    board = load_board("mps2-an386")
    batch = run_batch(toy.toy_firmware("mps2-an386", folder / "batch-mps2-an386"), board, x)
    seen = set()
    for pause in (0.0, 0.05):
        with served("mps2-an386", folder) as server:
            dut = connected(server)
            time.sleep(pause)
            dut.load(x.tobytes())
            seen.add(dut.infer(1000, 3).microseconds)
    assert len(seen) == 1
    # The loop around the inferences and the copy of the input belong to the time.
    least = int(batch.instructions[0]) * 1000 / 25
    assert least < seen.pop() < 2.5 * least


def test_time_base_of_the_cycle_model_scales_the_time(folder):
    x = toy.toy_inputs(1).tobytes()
    times = []
    for base in (TimeBase(25_000_000), TimeBase(100_000_000, 1.5)):
        with served("mps2-an386", folder, time_base=base) as server:
            dut = connected(server)
            dut.load(x)
            times.append(dut.infer(1000).microseconds)
    assert times[1] == pytest.approx(times[0] * 1.5 / 4, abs=1)


def test_time_base_follows_the_estimate(folder):
    board = load_board("mps2-an386")
    preset = load_preset("l4r5")
    firmware = toy.toy_firmware("mps2-an386", folder / "batch-mps2-an386")
    found = estimate(profile(firmware, board, toy.toy_inputs(8), preset=preset), preset)
    base = TimeBase.of(found)
    assert base.clock_hz == 120_000_000
    mean_us = float(base.microseconds_per_instruction * found.instructions)
    assert mean_us == pytest.approx(found.milliseconds.nominal * 1e3, rel=1e-4)


def test_pixels_become_the_quantised_input(folder):
    with served("mps2-an386", folder, dut=PIXELS) as server:
        dut = connected(server)
        dut.load(bytes([0, 1, 2, 3, 255, 128, 127, 128]))
        # Model input: the pixel less 128; the exit is not taken, the sums saturate.
        inputs = np.array([-128, -127, -126, -125, 127, 0, -1, 0])
        sums = np.clip(inputs[:4] + inputs[4:], -128, 127)
        assert dut.infer(1).scores == pytest.approx(np.round((sums + 128) / 256, 3))


def test_anomaly_score_is_the_mean_square_error(folder):
    x = np.array([[1.0, -2.0, 0.37, 30.0, 0.0, 0.0, 0.0, 0.0]], np.float32)
    q = np.clip(np.rint(x / np.float32(0.25)) + 5, -128, 127).astype(np.int8)
    with served("mps2-an386", folder, dut=ANOMALY) as server:
        dut = connected(server)
        dut.load(x.tobytes())
        score = dut.infer(1).scores
    _, outputs = toy.toy_answers(q)
    expected = np.mean(((outputs[0].astype(float) - 5) * 0.25 - x[0, :4]) ** 2)
    assert score == pytest.approx([expected], abs=0.0006)


def test_performance_is_the_median_of_runs_of_enough_time(folder):
    x = toy.toy_inputs(5)
    x[:, 7] = 0
    with served("mps2-an386", folder) as server:
        found = performance(connected(server), [row.tobytes() for row in x], seconds=0.01)
    assert found.model == "kws01" and len(found.counts) == 5
    assert all(us >= 0.9 * 10_000 for us in found.microseconds)
    assert found.median == sorted(found.throughputs)[2]


def test_reset_in_the_middle_of_a_load_leaves_nothing(folder):
    for _ in range(2):
        with served("mps2-an386", folder) as server:
            dut = connected(server)
            assert dut.command("db print") == []
            dut.command("db load 8")
            dut.command("db 0102")


def test_fault_of_the_device_is_reported(folder):
    x = toy.misbehaving(toy.UNDEFINED_INSTRUCTION, sample=0, count=1)
    with served("mps2-an386", folder) as server:
        dut = connected(server)
        dut.load(x.tobytes())
        with pytest.raises(TargetError, match="was closed by the device"):
            dut.infer(1)
        server.emulator.wait(5)
        assert isinstance(server.failure(), FaultError)
        assert "undefined instruction" in str(server.failure())


def test_device_that_hangs_times_out(folder):
    x = toy.misbehaving(toy.ENDLESS_LOOP, sample=0, count=1)
    with served("mps2-an386", folder) as server:
        dut = connected(server)
        dut.load(x.tobytes())
        with pytest.raises(TargetTimeoutError, match="no answer to 'infer 1 0'"):
            dut.infer(1, timeout=0.5)
    assert server.emulator.process.poll() is not None


def test_device_sleeps_while_it_waits(folder):
    with served("mps2-an386", folder) as server:
        connected(server).name()
        usage = Path(f"/proc/{server.emulator.process.pid}/stat")

        def ticks():
            fields = usage.read_text().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])

        before = ticks()
        time.sleep(0.5)
        assert ticks() - before < 0.25 * os.sysconf("SC_CLK_TCK")


# --- Through a pseudo-terminal ----------------------------------------------------------------


def ask(port, command):
    port.write(f"{command}%".encode())
    lines = []
    while not lines or lines[-1] != b"m-ready\r\n":
        lines.append(port.readline())
        assert lines[-1], f"no answer to {command!r}, only {lines}"
    return b"".join(lines).decode()


@pytest.mark.parametrize("baud", [300, 9600, 115200, 921600])
def test_pyserial_opens_the_terminal_at_any_baud(baud, folder):
    with (
        served("mps2-an386", folder) as server,
        PseudoTerminal(server) as terminal,
        serial.Serial(terminal.path, baud, timeout=5) as port,
    ):
        assert ask(port, "name") == "m-name-dut-[trecx]\r\nm-ready\r\n"


def test_host_may_disconnect_at_any_moment_and_come_back(folder):
    with served("mps2-an386", folder) as server, PseudoTerminal(server) as terminal:
        for unfinished in (b"", b"na", b"db load 8%db 01", b"x" * 500):
            with serial.Serial(terminal.path, 115200, timeout=5) as port:
                port.write(unfinished)
                port.flush()
            time.sleep(0.2)
            with serial.Serial(terminal.path, 115200, timeout=5) as port:
                assert ask(port, "name") == "m-name-dut-[trecx]\r\nm-ready\r\n"


def test_program_that_never_reads_does_not_block_the_end(folder):
    with served("mps2-an386", folder) as server, PseudoTerminal(server) as terminal:
        port = os.open(terminal.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 5000:
                sent += os.write(port, b"profile%")
                time.sleep(0.0002)
        time.sleep(0.3)
    os.close(port)
    assert server.emulator.process.poll() is not None


def test_link_opens_and_times_out_on_a_dead_line(folder):
    device, terminal = os.openpty()
    try:
        path = os.ttyname(terminal)
        link = Link.open(path, 115200)
        assert termios.tcgetattr(terminal)[4] == termios.B115200
        with pytest.raises(TargetTimeoutError, match="no answer to 'name'"):
            Dut(link, timeout=0.1).name()
        assert select.select([device], [], [], 1)[0] and os.read(device, 100) == b"name%"
        link.close()
    finally:
        os.close(device)
        os.close(terminal)


def test_own_host_side_through_the_terminal(folder, tmp_path):
    x = toy.toy_inputs(6)
    x[:, 7] = 0
    labels = toy.toy_answers(x)[1].argmax(1)
    name = tmp_path / "dut"
    with served("mps2-an386", folder) as server, PseudoTerminal(server, name):
        link = Link.open(name)
        dut = Dut(link)
        dut.synchronise()
        seen = []
        found = accuracy(
            dut, [r.tobytes() for r in x], labels, progress=lambda *done: seen.append(done)
        )
        link.close()
    assert found.value == 1.0 and seen[-1] == (6, 6)
    assert not name.is_symlink()


def test_terminal_name_in_use_is_refused(folder, tmp_path):
    name = tmp_path / "dut"
    with served("mps2-an386", folder) as server:
        with PseudoTerminal(server, name), pytest.raises(InputError, match="is in use"):
            PseudoTerminal(server, name)
        name.write_text("something")
        with pytest.raises(InputError, match="is not a link to a terminal"):
            PseudoTerminal(server, name)
        assert name.read_text() == "something"
        with pytest.raises(InputError, match=r"cannot create .*none/dut: No such file"):
            PseudoTerminal(server, tmp_path / "none" / "dut")


def emulators_of(process):
    """Folders in /proc of the emulators that a process has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            text = status.read_text()
            if text.startswith("Name:\tqemu-system") and f"PPid:\t{process.pid}\n" in text:
                found.append(status.parent)
    return found


@contextlib.contextmanager
def killed(process):
    """Nothing is waited for that will not end."""
    try:
        yield
    finally:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_served_device_ends_with_a_signal(number, kws_bundle, tmp_path):
    """In the middle of a command: no emulator, link or folder stays, whatever signal it was."""
    name, work = tmp_path / "dut", tmp_path / "work"
    work.mkdir()
    # What runs these tests may ignore some signals, and children inherit that.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "signal.signal(signal.SIGHUP, signal.SIG_DFL); from trecx.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "serve", str(kws_bundle), "--pty", str(name)]
    environment = {**os.environ, "TMPDIR": str(work)}
    with (
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process,
        killed(process),
    ):
        deadline = time.monotonic() + 120
        while not name.is_symlink():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        with serial.Serial(str(name), 115200, timeout=10) as port:
            assert ask(port, "name") == "m-name-dut-[trecx]\r\nm-ready\r\n"
            port.write(b"infer 100000 0%")
            (emulator,) = emulators_of(process)
            process.send_signal(number)
            said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    assert said.strip() == ("interrupted" if number == signal.SIGINT else "")
    assert not name.is_symlink() and not list(work.iterdir())
    assert not emulator.exists()


def test_serial_line_in_use_is_refused(folder):
    with served("mps2-an386", folder) as server, PseudoTerminal(server) as terminal:
        first = Link.open(terminal.path)
        with pytest.raises(InputError, match="in use by another program"):
            Link.open(terminal.path)
        with (
            pytest.raises(serial.SerialException),
            serial.Serial(terminal.path, 115200, exclusive=True),
        ):
            pass
        dut = Dut(first)
        dut.synchronise()
        assert dut.name() == "trecx"
        first.close()
        with serial.Serial(terminal.path, 115200, timeout=5, exclusive=True) as port:
            assert ask(port, "name") == "m-name-dut-[trecx]\r\nm-ready\r\n"
            with pytest.raises(InputError, match="in use by another program"):
                Link.open(terminal.path)


def test_wrong_arguments_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"one of ic01, kws01, vww01, ad01; got 'foo'"):
        build("host", folder, dut=DutModel("foo", InputKind.INT8, 8, 1.0, 0, OUTPUTS))
    with pytest.raises(InputError, match="not on the host"):
        DutServer(build("host", folder))
    with pytest.raises(InputError, match="cannot open the serial line"):
        Link.open(tmp_path / "none")
    with pytest.raises(InputError, match="cannot open /dev/null as a serial line: Inappropriate"):
        Link.open(Path("/dev/null"))
    with pytest.raises(InputError, match="baud rate must be one of"):
        Link.open(tmp_path / "none", 12345)
    with pytest.raises(InputError, match="3 inputs need as many labels; got 2"):
        accuracy(None, [b"", b"", b""], np.zeros(2))


def test_area_under_the_curve():
    labels = np.array([0, 0, 1, 1])
    assert area_under_curve(np.array([1.0, 2.0, 3.0, 4.0]), labels) == 1.0
    assert area_under_curve(np.array([3.0, 4.0, 1.0, 2.0]), labels) == 0.0
    assert area_under_curve(np.array([1.0, 1.0, 1.0, 1.0]), labels) == 0.5
    assert area_under_curve(np.array([1.0, 3.0, 2.0, 4.0]), labels) == 0.75
    with pytest.raises(InputError, match="normal and anomalous"):
        area_under_curve(np.array([1.0]), np.array([1]))
