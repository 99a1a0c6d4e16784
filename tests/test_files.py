"""Files and folders appear complete or not at all, and never in the place of a user's own."""

import os
import signal
import subprocess
import sys

import pytest

from trecx.errors import InputError
from trecx.files import atomic_folder, require_replaceable, write_atomic

MARKER = "made_by_trecx"


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("content", [b"\x00bytes", "text \u00e4"])
def test_file_is_written_and_replaced(content, tmp_path):
    path = tmp_path / "deep" / "file"
    for data in ("before", content):
        write_atomic(path, data)
    expected = content if isinstance(content, bytes) else content.encode()
    assert path.read_bytes() == expected
    assert path.stat().st_mode & 0o777 == 0o644
    assert names(tmp_path) == ["deep", "deep/file"]


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def make(path, *files):
    with atomic_folder(path, MARKER) as folder:
        for name in (MARKER, *files):
            (folder / name).write_text(name)


def test_folder_appears_at_the_end(tmp_path):
    path = tmp_path / "deep" / "out"
    with atomic_folder(path, MARKER) as folder:
        (folder / MARKER).write_text("")
        assert not path.exists()
    assert names(tmp_path) == ["deep", "deep/out", f"deep/out/{MARKER}"]
    assert path.stat().st_mode & 0o777 == 0o755


def test_folder_of_trecx_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "out"
    make(path, "old")
    make(path, "new")
    assert names(tmp_path) == ["out", f"out/{MARKER}", "out/new"]


def test_failure_keeps_the_old_folder(tmp_path):
    path = tmp_path / "out"
    make(path, "old")
    with pytest.raises(ZeroDivisionError), atomic_folder(path, MARKER) as folder:
        (folder / "half").write_text("")
        raise ZeroDivisionError
    assert names(tmp_path) == ["out", f"out/{MARKER}", "out/old"]


def test_failure_leaves_nothing_behind(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "out", MARKER):
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_empty_folder_may_be_used(tmp_path):
    (tmp_path / "out").mkdir()
    make(tmp_path / "out", "new")
    assert names(tmp_path) == ["out", f"out/{MARKER}", "out/new"]


def test_a_users_folder_is_never_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").write_text("years of work")
    for refuse in (require_replaceable, make):
        with pytest.raises(InputError, match=rf"mine exists .* has no {MARKER}"):
            refuse(tmp_path / "mine", MARKER)
    assert names(tmp_path) == ["mine", "mine/thesis"]


def test_a_users_file_is_never_replaced(tmp_path):
    (tmp_path / "mine").write_text("years of work")
    with pytest.raises(InputError, match="mine exists"):
        make(tmp_path / "mine")
    with pytest.raises(InputError, match=r"cannot create .*mine"):
        make(tmp_path / "mine" / "deeper")
    assert (tmp_path / "mine").read_text() == "years of work"


def test_killed_process_leaves_the_old_folder(tmp_path):
    path = tmp_path / "out"
    make(path, "old")
    code = f"""if True:
        import pathlib, time
        from trecx.files import atomic_folder
        with atomic_folder(pathlib.Path({str(path)!r}), {MARKER!r}) as folder:
            (folder / "half").write_text("")
            print("now", flush=True)
            time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "now\n"
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    assert names(path) == [MARKER, "old"]
    # What the killed process left beside it does not stop the next one.
    make(path, "new")
    assert names(path) == [MARKER, "new"]
