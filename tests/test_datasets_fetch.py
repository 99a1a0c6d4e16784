"""Downloads from a server on this machine: whole, resumed, broken, wrong, unsafe."""

import errno
import hashlib
import http.server
import io
import json
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from mlperf_tiny.datasets import fetch as fetch_module
from mlperf_tiny.datasets.fetch import ARCHIVES, MARKER, Archive, fetch, find_archive, progress_bar
from trecx.errors import DataError


def tar_bytes(members: dict[str, bytes], *, mode: str = "w:gz", extra=()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return buffer.getvalue()


# Noise does not compress, so that the archive is long enough to break off in.
FILES = {
    "set/a.bin": np.random.default_rng(0).bytes(60_000),
    "set/sub/b.bin": np.random.default_rng(1).bytes(40_000),
}
ARCHIVE_BYTES = tar_bytes(FILES)


class Server(http.server.ThreadingHTTPServer):
    """Serves `body` at /data.tar.gz, and misbehaves as told.

    break_after: of each answer, at most so many body bytes are sent before the connection is cut.
    ranges: whether ranges are understood. statuses: answers to give first, instead of the body.
    length: what to say instead of the answer's length.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = ARCHIVE_BYTES
        self.break_after: int | None = None
        self.ranges = True
        self.statuses: list[int] = []
        self.length: str | None = None
        self.requests: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data.tar.gz"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args):
        pass

    def do_GET(self):
        server, body, start = self.server, self.server.body, 0
        asked = self.headers.get("Range")
        server.requests.append(asked)
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        if asked and server.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", server.length or str(len(body) - start))
        self.end_headers()
        stop = None if server.break_after is None else start + server.break_after
        self.wfile.write(body[start:stop])
        self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def archive_of(server, **changes) -> Archive:
    fields = {
        "name": "set",
        "title": "A set",
        "url": server.url,
        "folder": "set",
        "inner": "set",
        "size": None,
        "sha256": hashlib.sha256(server.body).hexdigest(),
    }
    return Archive(**(fields | changes))


def check_unpacked(folder: Path) -> None:
    found = {
        path.relative_to(folder.parent).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARKER
    }
    assert found == FILES


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_download_check_and_unpack(server, tmp_path):
    folder = fetch(archive_of(server), tmp_path / "new" / "dest")
    assert folder == tmp_path / "new" / "dest" / "set"
    check_unpacked(folder)
    assert names(folder.parent) == {"set"}
    assert folder.stat().st_mode & 0o777 == 0o755
    origin = json.loads((folder / MARKER).read_text())
    assert origin["url"] == server.url
    assert origin["sha256"] == hashlib.sha256(ARCHIVE_BYTES).hexdigest()


def test_the_second_time_nothing_is_downloaded(server, tmp_path):
    first = fetch(archive_of(server), tmp_path)
    assert fetch(archive_of(server), tmp_path) == first
    assert len(server.requests) == 1


def test_the_archive_can_be_kept_and_is_used_again(server, tmp_path):
    folder = fetch(archive_of(server), tmp_path, keep_archive=True)
    assert names(tmp_path) == {"set", "data.tar.gz"}
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    check_unpacked(fetch(archive_of(server), tmp_path))
    assert len(server.requests) == 1


def test_a_connection_that_breaks_again_and_again_is_resumed(server, tmp_path):
    server.break_after = 30_000
    seen = []
    fetch(archive_of(server), tmp_path, wait_s=0, progress=lambda *args: seen.append(args))
    check_unpacked(tmp_path / "set")
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in server.requests[1:]]
    assert starts == [30_000 * i for i in range(1, len(starts) + 1)]
    assert len(starts) == len(ARCHIVE_BYTES) // 30_000
    downloads = [(done, total) for stage, done, total in seen if stage == "download"]
    assert downloads == sorted(downloads)
    assert downloads[-1] == (len(ARCHIVE_BYTES), len(ARCHIVE_BYTES))
    assert {total for _, total in downloads} == {len(ARCHIVE_BYTES)}
    assert [stage for stage in dict.fromkeys(stage for stage, _, _ in seen)] == [
        "download",
        "check",
        "unpack",
    ]


def test_a_later_call_goes_on_where_an_earlier_one_stopped(server, tmp_path):
    (tmp_path / "data.tar.gz.part").write_bytes(ARCHIVE_BYTES[:12_345])
    check_unpacked(fetch(archive_of(server), tmp_path))
    assert server.requests == ["bytes=12345-"]


def test_a_part_that_is_already_complete_is_recognised(server, tmp_path):
    (tmp_path / "data.tar.gz.part").write_bytes(ARCHIVE_BYTES)
    check_unpacked(fetch(archive_of(server), tmp_path))


def test_a_part_of_another_file_is_found_out_and_removed(server, tmp_path):
    for wrong in (b"x" * 1000, b"x" * (len(ARCHIVE_BYTES) + 10)):
        (tmp_path / "data.tar.gz.part").write_bytes(wrong)
        with pytest.raises(DataError, match="SHA-256 must be"):
            fetch(archive_of(server), tmp_path)
        assert names(tmp_path) == set()
    check_unpacked(fetch(archive_of(server), tmp_path))


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.ranges = False
    (tmp_path / "data.tar.gz.part").write_bytes(b"stale" * 100)
    check_unpacked(fetch(archive_of(server), tmp_path))


def test_a_download_that_never_advances_stops_and_keeps_what_came(server, tmp_path):
    server.break_after = 0
    (tmp_path / "data.tar.gz.part").write_bytes(ARCHIVE_BYTES[:500])
    with pytest.raises(DataError, match=r"stopped at 500 bytes .*run it again"):
        fetch(archive_of(server), tmp_path, attempts=3, wait_s=0)
    assert len(server.requests) == 3
    assert (tmp_path / "data.tar.gz.part").read_bytes() == ARCHIVE_BYTES[:500]
    server.break_after = None
    check_unpacked(fetch(archive_of(server), tmp_path))


def test_server_errors_are_tried_again_and_refusals_are_not(server, tmp_path):
    server.statuses = [503, 500]
    check_unpacked(fetch(archive_of(server), tmp_path / "a", wait_s=0))
    server.statuses = [404]
    with pytest.raises(DataError, match="the server answers 404 Not Found"):
        fetch(archive_of(server), tmp_path / "b", wait_s=0)
    assert len(server.requests) == 4
    assert names(tmp_path / "b") == set()


def test_no_server_is_one_line(server, tmp_path):
    archive = archive_of(server)
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match=r"stopped at 0 bytes \(.*refused.*\)"):
        fetch(archive, tmp_path, attempts=2, wait_s=0)


def test_waits_double_between_tries_without_progress(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(fetch_module.time, "sleep", waits.append)
    server.break_after = 0
    with pytest.raises(DataError):
        fetch(archive_of(server), tmp_path, attempts=4, wait_s=0.5)
    assert waits == [0.5, 1.0, 2.0]


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(DataError, match=rf"SHA-256 must be {'0' * 64}, got [0-9a-f]{{64}}"):
        fetch(archive_of(server, sha256="0" * 64), tmp_path)
    assert names(tmp_path) == set()


def test_a_users_own_archive_with_a_wrong_checksum_is_not_removed(server, tmp_path):
    (tmp_path / "data.tar.gz").write_bytes(b"mine")
    with pytest.raises(DataError, match="remove it"):
        fetch(archive_of(server), tmp_path)
    assert (tmp_path / "data.tar.gz").read_bytes() == b"mine"
    assert not server.requests


def test_checksum_and_url_can_be_given(server, tmp_path):
    unknown = archive_of(server, sha256=None, url="http://127.0.0.1:9/other.tar.gz")
    with pytest.raises(DataError, match="no SHA-256 is known"):
        fetch(unknown, tmp_path)
    digest = hashlib.sha256(ARCHIVE_BYTES).hexdigest().upper()
    check_unpacked(fetch(unknown, tmp_path, url=server.url, sha256=digest))
    assert fetch(unknown, tmp_path, url=server.url, sha256=digest)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"url": "file:///etc/data.tar"}, "must be http"),
        ({"url": "http://127.0.0.1/"}, "name a file"),
        ({"sha256": "abc"}, "64 hexadecimal digits"),
        ({"sha256": "x" * 64}, "64 hexadecimal digits"),
    ],
)
def test_bad_arguments_are_refused_before_anything_happens(server, tmp_path, change, rule):
    with pytest.raises(DataError, match=rule):
        fetch(archive_of(server), tmp_path / "dest", **change)
    assert not server.requests
    assert not (tmp_path / "dest").exists()


def test_a_folder_of_other_origin_is_not_touched(server, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/mine").write_text("x")
    with pytest.raises(DataError, match="was not fetched by trecx"):
        fetch(archive_of(server), tmp_path)
    assert names(tmp_path / "set") == {"mine"}


def test_a_folder_from_another_archive_is_not_taken_for_this_one(server, tmp_path):
    fetch(archive_of(server), tmp_path)
    with pytest.raises(DataError, match="comes from an archive with SHA-256"):
        fetch(archive_of(server), tmp_path, sha256="1" * 64)
    check_unpacked(tmp_path / "set")


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


UNSAFE = {
    "parent": tar_bytes({"set/a": b"x", "set/../../evil": b"x"}),
    "absolute": tar_bytes({"set/a": b"x", "/evil": b"x"}),
    "backslash": tar_bytes({"set/a": b"x", "..\\evil": b"x"}),
    "drive": tar_bytes({"set/a": b"x", "C:evil": b"x"}),
    "symbolic link": tar_bytes({"set/a": b"x"}, extra=[link("set/l", tarfile.SYMTYPE, "/etc")]),
    "hard link": tar_bytes({"set/a": b"x"}, extra=[link("set/l", tarfile.LNKTYPE, "set/a")]),
    "device": tar_bytes({"set/a": b"x"}, extra=[link("set/d", tarfile.CHRTYPE, "")]),
    "pipe": tar_bytes({"set/a": b"x"}, extra=[link("set/p", tarfile.FIFOTYPE, "")]),
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_unsafe_members_are_refused_and_nothing_is_unpacked(server, tmp_path, kind):
    server.body = UNSAFE[kind]
    with pytest.raises(DataError, match="a member must"):
        fetch(archive_of(server), tmp_path / "dest")
    assert names(tmp_path / "dest") == {"data.tar.gz"}
    assert names(tmp_path) == {"dest"}


DAMAGED = {
    "not a tar": b"hello" * 1000,
    "empty": b"",
    "cut gzip": ARCHIVE_BYTES[:50_000],
    "cut tar": tar_bytes(FILES, mode="w")[:30_000],
    "cut bz2": tar_bytes(FILES, mode="w:bz2")[:50_000],
    "cut xz": tar_bytes(FILES, mode="w:xz")[:50_000],
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_archives_are_refused_and_nothing_is_unpacked(server, tmp_path, kind):
    server.body = DAMAGED[kind]
    with pytest.raises(DataError, match="must be an undamaged tar archive") as raised:
        fetch(archive_of(server), tmp_path)
    assert "\n" not in str(raised.value)
    assert names(tmp_path) == {"data.tar.gz"}


def test_an_archive_without_the_expected_folder_is_refused(server, tmp_path):
    with pytest.raises(DataError, match="must hold a folder other/, got set"):
        fetch(archive_of(server, inner="other"), tmp_path)
    assert names(tmp_path) == {"data.tar.gz"}


def test_an_archive_without_a_folder_around_it(server, tmp_path):
    server.body = tar_bytes({"./a/x": b"1", "./list.txt": b"2"})
    folder = fetch(archive_of(server, inner="", folder="words"), tmp_path)
    assert names(folder) == {"a", "list.txt", MARKER}
    assert names(tmp_path) == {"words"}


def test_a_full_disk_keeps_the_download_and_is_one_line(server, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch_module.shutil, "copyfileobj", full)
    with pytest.raises(DataError, match=r"cannot store A set in .*: No space left on device"):
        fetch(archive_of(server), tmp_path)
    assert names(tmp_path) == {"data.tar.gz"}
    monkeypatch.undo()
    check_unpacked(fetch(archive_of(server), tmp_path))
    assert len(server.requests) == 1


def test_a_destination_that_is_a_file_is_refused(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot store A set"):
        fetch(archive_of(server), tmp_path / "file")


def test_registry_is_well_formed():
    for name, archive in ARCHIVES.items():
        fetch_module._check(archive)
        assert archive.name == name
        assert archive.url.startswith("https://")
        assert archive.size > 1e8
        assert find_archive(name) is archive
    with pytest.raises(DataError, match="unknown data set 'speach'; did you mean 'speech'"):
        find_archive("speach")


def test_progress_bar_shows_every_stage(server, tmp_path, capsys):
    with progress_bar() as bar:
        fetch(archive_of(server), tmp_path, progress=bar)
    shown = capsys.readouterr().err
    assert all(stage in shown for stage in ("download", "check", "unpack"))


def test_a_malformed_url(tmp_path):
    with pytest.raises(DataError, match=r"URL must be well-formed, got http://\[bad"):
        fetch("cifar10", tmp_path, url="http://[bad")


def test_a_server_that_does_not_know_the_length(server, tmp_path):
    server.length = "unknown"
    check_unpacked(fetch(archive_of(server), tmp_path))
