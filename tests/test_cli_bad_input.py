"""Whatever a user gives wrong: one line on stderr, a non-zero exit, nothing written.

The table is run through the real command line, in a folder of bad files (tests.support.bad_files).
"""

import re
import shlex
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tests.support.bad_files import write_bad_files
from trecx.cli import main
from trecx.targets import toolchain

INPUT, CAPACITY, TOOL = 2, 3, 4
CUT_POINT = "functional_11_1/re_lu_22_1/Relu;functional_11_1/add_6_1/Add"
SMALL = "--data-option train=12 --data-option calibration=24 --data-option test=12"

# Command line -> what its error must say (regular expressions), by exit status.
CASES = {
    INPUT: {
        # Models
        "compile missing.tflite -o out": ["missing.tflite", "does not exist"],
        "inspect missing.tflite": ["missing.tflite", "does not exist"],
        "report flops missing.tflite": ["missing.tflite", "does not exist"],
        "run missing.tflite": ["missing.tflite", "does not exist"],
        "compile truncated.tflite -o out": ["truncated.tflite", "1000", "truncated or damaged"],
        "inspect truncated.tflite": ["truncated.tflite", "truncated or damaged"],
        "cut truncated.tflite --at x -o out": ["truncated.tflite", "truncated or damaged"],
        "compile empty.tflite -o out": ["empty.tflite", "0 bytes"],
        "compile text.tflite -o out": ["text.tflite", "TFL3"],
        "compile other-format.tflite -o out": ["TFL9", "TFL3"],
        "compile far-offset.tflite -o out": ["far-offset.tflite", "offset"],
        "compile float.tflite -o out": ["FLOAT32", "not fully quantised", "representative"],
        "compile dynamic.tflite -o out": ["dynamic shape", r"\[1, -1, -1, 3\]", "fix"],
        "compile unsupported.tflite -o out": ["COS", "index 19", "supported: ADD, .*SOFTMAX"],
        "compile unknown-operator.tflite -o out": ["OPERATOR_30000", "supported: ADD"],
        "compile negative.tflite -o out": ["shape", "-16"],
        "compile huge.tflite -o out": ["shape", "1073741824"],
        "compile cycle.tflite -o out": ["which nothing has produced", "cycle"],
        "compile dangling.tflite -o out": ["9999"],
        "compile unknown-type.tflite -o out": ["type", "77"],
        "report flops truncated.tflite": ["truncated.tflite"],
        "report flops samples.npy": ["samples.npy", "TFL3"],
        "report flops kws.bundle --base kws.bundle": ["must have no exits", "has 1"],
        "cut good.tflite -o out": ["--at", "--exit"],
        "cut good.tflite --at functional_11/average -o out": ["functional_11/average", "AvgPool"],
        "cut good.tflite --exit probs -o out": ["probs", "StatefulPartitionedCall:0"],
        # Bundles
        "run missing.bundle": ["missing.bundle", "does not exist"],
        "verify missing.bundle": ["missing.bundle", "manifest.json"],
        "compile altered.bundle -o out": ["altered.bundle", "tail.tflite", "hash", "altered"],
        "eval incomplete.bundle": ["incomplete.bundle", "tail.tflite"],
        "verify unreadable.bundle": ["manifest.json", "not valid JSON"],
        "run newer.bundle": ["newer.bundle", "version 99", "version 1", "export it again"],
        "report flops escaping.bundle": ["escaping.bundle", r"\.\./good.tflite"],
        "compile symbolic.bundle -o out": ["symbolic.bundle", "full.tflite"],
        "compile odd-field.bundle -o out": ["odd-field.bundle", "colour"],
        "compile odd-policy.bundle -o out": ["odd-policy.bundle", "astrology"],
        "compile holiday -o out": ["no bundle at holiday", "manifest.json"],
        "calibrate good.tflite": ["no bundle at good.tflite"],
        # Places to write
        "compile kws.bundle -o holiday": ["holiday exists", "choose another folder"],
        "compile kws.bundle -o good.tflite": ["good.tflite exists"],
        "compile kws.bundle -o good.tflite/c": ["cannot create .*good.tflite"],
        "export kws.bundle --format tflm -o holiday": ["holiday exists"],
        "cut good.tflite --at functional_11_1/flatten_4_1/Reshape -o out": [
            "have to cross as well"
        ],
        f"cut good.tflite --at '{CUT_POINT}' -o holiday": ["holiday exists"],
        # Options
        "compile kws.bundle": ["--out"],
        "compile kws.bundle -o out --taget host": ["--taget", "--target"],
        "comple kws.bundle": ["comple", "compile"],
        "compile kws.bundle -o out --target mps2-an38": ["mps2-an38'", "mps2-an386"],
        "report memory kws.bundle --target toaster": ["toaster", "mps2-an386"],
        "compile kws.bundle -o out --prefix 9lives": ["9lives", "C identifier"],
        "compile kws.bundle -o out --prefix string": ["string", "C library"],
        "compile kws.bundle -o out --flash-budget 9": ["--flash-budget", "--optimize speed"],
        "compile kws.bundle -o out --optimize speed --flash-budget 9": ["flash budget of 9"],
        "export kws.bundle --format tflm -o out --prefix 9": ["'9'", "C identifier"],
        "export kws.bundle --format arduino -o holiday": ["holiday exists"],
        "export kws.bundle --format c --target host -o out": ["for a board"],
        "export kws.bundle --format c --package-version 1 -o out": ["1.0.0", "'1'"],
        "export kws.bundle --format c -o out --target toaster": ["toaster"],
        "export kws.bundle -o out": ["kws.bundle", "no finished training run"],
        "build kws.bundle --app nothing -o out": ["nothing", "batch", "minimal", "mlperf"],
        "build kws.bundle --app nothing.c -o out": ["nothing.c"],
        "build good.tflite --app mlperf -o out": ["bundle", "ic, kws, vww, ad"],
        "profile kws.bundle --target host": ["emulated boards", "--target"],
        "profile kws.bundle --preset l4r6": ["l4r6", "did you mean 'l4r5'"],
        "profile kws.bundle --preset h7a3": ["cortex-m7", "cortex-m4"],
        "profile good.tflite --input samples.npy --base": ["no base network", "export with --base"],
        "boards missing.bundle": ["missing.bundle", "does not exist"],
        "serve kws.bundle --pty good.tflite": ["good.tflite", "choose another name"],
        "mlperf accuracy kws.bundle --port nowhere {small}": ["nowhere", "cannot open"],
        "mlperf accuracy good.tflite": ["bundle", "ic, kws, vww, ad"],
        "compile kws.bundle words=kws.bundle --prefix a -o out": ["--prefix", "NAME=BUNDLE"],
        "compile kws.bundle kws.bundle -o out": ["names of their own", "kws, kws"],
        "compile kws.bundle ic.bundle --shared-arena 9 -o out": ["'9'", "C identifier"],
        "run kws.bundle --samples 0": ["--samples", "0"],
        "eval kws.bundle --seed -1": ["--seed", "-1"],
        # Exit policies and budgets
        "calibrate kws.bundle --threshold 1.5": ["threshold", "0 to 1", "1.5"],
        "calibrate kws.bundle --threshold -0.1": ["threshold", "0 to 1", "-0.1"],
        "calibrate kws.bundle --threshold nan": ["threshold", "0 to 1", "nan"],
        "calibrate kws.bundle --threshold 0.5 --max-macs 9": ["--threshold", "budget"],
        "calibrate kws.bundle --max-accuracy-loss -3": ["accuracy loss", "-3"],
        "calibrate kws.bundle --max-macs nan": ["cost", "nan"],
        "calibrate kws.bundle --guarantee 2": ["guarantee", "2"],
        "calibrate kws.bundle --policy luck": ["luck", "class_gate", "max_softmax"],
        "calibrate kws.bundle --policy confidence --quiet {small}": ["confidence", "13", "12"],
        "calibrate kws.bundle --max-macs 9 --quiet {small}": ["9 MACs", "nearest is"],
        "report benefit kws.bundle --policies luck": ["luck", "class_gate"],
        # Data
        "eval kws.bundle --data nowhere": ["nowhere", "does not exist"],
        "eval kws.bundle --data holiday": ["Speech Commands", "<word>/", "notes.txt"],
        "eval ic.bundle --data holiday": ["CIFAR-10", "data_batch_1", "notes.txt"],
        "train vww --data holiday": ["person", "holiday"],
        "eval kws.bundle --data good.tflite": ["folder", "good.tflite"],
        "eval ic.bundle --source cifar10": ["cifar10", "--data"],
        "eval kws.bundle --data holiday --source spech": ["spech", "speech"],
        "eval kws.bundle --data-option loud=yes": ["synthetic", "loud"],
        "eval kws.bundle --data-option test=many": ["test must be a whole number", "many"],
        "eval kws.bundle --data-option test=0": ["1 sample or more", "0"],
        "eval kws.bundle --data-option test": ["NAME=VALUE", "test"],
        "eval ic.bundle --data holiday --data-option layout=5": ["cifar10", "layout"],
        "run kws.bundle --input nowhere.npy": ["nowhere.npy", "does not exist"],
        "run kws.bundle --input text.npy": ["text.npy", "npy"],
        "run kws.bundle --input pickled.npy": ["pickled.npy", "npy"],
        "run kws.bundle --input int32.npy": ["int32.npy", "int8", "int32"],
        "run kws.bundle --input nan.npy": ["nan.npy", "finite"],
        "run kws.bundle --input shape.npy": ["shape.npy", r"\(N, 49, 10, 1\)", r"\(3, 5\)"],
        "run kws.bundle --input none.npy": ["none.npy", "N >= 1"],
        "run kws.bundle --input samples.npy --labels two-labels.npy": [r"\(3,\)", r"\(2,\)"],
        "run kws.bundle --labels two-labels.npy": ["--labels", "--input"],
        "run good.tflite": ["--input"],
        "verify kws.bundle --input float.npy": ["int8", "float32"],
        "verify kws.bundle --input shape.npy": [r"\(N, 49, 10, 1\)", r"\(3, 5\)"],
        "data info nowhere": ["folder", "nowhere"],
        "data info holiday": ["CIFAR-10", "holiday"],
        "data fetch imagenet": ["imagenet", "cifar10"],
        # Training
        "train kvs": ["kvs", "did you mean 'kws'"],
        "train kws --recipe t-rex": ["t-rex", "did you mean 't-recx'"],
        "train kws --epochs 0": ["--epochs", "0"],
        "train kws --model nowhere.keras": ["nowhere.keras"],
        "train ic --at stack2_relu1": ["2 tensors cross", r"stack1_relu \(41 %\)"],
        "train ic --recipe sdn --at stack9": ["no feature map 'stack9'", r"stack1_relu \(41 %\)"],
        "train ic --recipe base --at stack1_relu": ["'base' has none"],
        "export nowhere -o out": ["nowhere", "run.json"],
        "export damaged-run -o out": ["run.json", "damaged"],
        "demo --task ad -o out": ["'ad'", "classification"],
        "demo --target toaster -o out": ["toaster"],
    },
    CAPACITY: {
        "compile ic.bundle --target microbit -o out": [r"\d\d,\d{3} bytes of RAM", "16,384"],
        "run ic.bundle --target microbit": [r"\d\d,\d{3} bytes of RAM", "16,384", "larger board"],
    },
}
TABLE = [(line, facts, code) for code, lines in CASES.items() for line, facts in lines.items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, kws_bundle, ic_bundle):
    found = tmp_path_factory.mktemp("bad")
    write_bad_files(found, kws_bundle, ic_bundle)
    return found


@pytest.fixture
def listing(folder, monkeypatch):
    """What the folder holds, hidden files too; the test runs in it."""
    monkeypatch.chdir(folder)

    def look():
        return {p: p.lstat().st_mtime_ns for p in folder.rglob("*") if not p.is_dir()}

    return look


@pytest.mark.parametrize(("line", "facts", "code"), TABLE, ids=[line for line, _, _ in TABLE])
def test_one_clear_line(line, facts, code, listing):
    before = listing()
    done = CliRunner().invoke(main, shlex.split(line.format(small=SMALL)))
    assert_one_line(done.stderr, facts)
    assert (done.exit_code, done.stdout) == (code, "")
    assert listing() == before


def assert_one_line(stderr, facts):
    lines = stderr.splitlines()
    assert len(lines) == 1 and stderr.endswith("\n"), stderr
    assert lines[0].startswith("error: ")
    for fact in facts:
        assert re.search(fact, lines[0]), f"{fact!r} is not in: {lines[0]}"


@pytest.mark.parametrize(
    ("target", "line", "program"),
    [
        ("mps2-an386", "run kws.bundle --input samples.npy --quiet", "arm-none-eabi-gcc"),
        ("host", "run kws.bundle --input samples.npy --target host --quiet", "gcc"),
        ("mps2-an386", "demo -o out", "arm-none-eabi-gcc"),
    ],
)
def test_missing_tools_say_how_to_get_them(target, line, program, listing, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    toolchain.find_tool.cache_clear()
    toolchain.tool_version.cache_clear()
    before = listing()
    done = CliRunner().invoke(main, shlex.split(line))
    assert_one_line(done.stderr, [program, "sudo apt-get install .*gcc"])
    assert (done.exit_code, done.stdout) == (TOOL, "")
    assert listing() == before


def test_missing_emulator_says_how_to_get_it(listing, tmp_path, monkeypatch):
    for program in ("arm-none-eabi-gcc", "gcc"):
        (tmp_path / program).symlink_to(toolchain.find_tool(program))
    monkeypatch.setenv("PATH", str(tmp_path))
    toolchain.find_tool.cache_clear()
    done = CliRunner().invoke(main, ["run", "kws.bundle", "--input", "samples.npy", "--quiet"])
    toolchain.find_tool.cache_clear()
    assert_one_line(done.stderr, ["qemu-system-arm", "sudo apt-get install qemu-system-arm"])
    assert done.exit_code == TOOL


def test_the_installed_program_behaves_the_same(folder):
    """The table runs in this process; once through the real entry point and its exit status."""
    program = [sys.executable, "-c", "from trecx.cli import main; main()"]
    done = subprocess.run(
        [*program, "compile", "text.tflite", "-o", "out"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert_one_line(done.stderr, ["text.tflite"])
    assert (done.returncode, done.stdout) == (INPUT, "")
