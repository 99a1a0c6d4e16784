"""Download the public archives: resumed, checked, unpacked whole or not at all.

    <dest>/<archive>.part    while downloading; a later call goes on where it ends
    <dest>/<folder>          the unpacked data, renamed into place when complete

The archive is removed once it is unpacked, unless it is to be kept.
"""

import contextlib
import hashlib
import http.client
import json
import lzma
import os
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from trecx.errors import DataError
from trecx.files import write_atomic
from trecx.typed import nearest

MARKER = ".trecx-archive.json"
_CHUNK = 1 << 20
_TIMEOUT_S = 30

# Called with ("download" | "check" | "unpack", bytes done, bytes in all or None).
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Archive:
    """A public .tar archive (any compression).

    folder: what the unpacked data is called. inner: the folder in the archive that becomes it;
    empty if the archive has no folder around its contents. size: of the archive, in bytes.
    sha256: of the archive; None: unknown, and then the caller has to give one.
    """

    name: str
    title: str
    url: str
    folder: str
    inner: str
    size: int | None
    sha256: str | None


# Checksums. Speech Commands: as published in torchaudio's and TensorFlow Datasets' sources.
# CIFAR-10: the SHA-256 that agrees with the MD5 on the data set's own page (c32a1d4a... for the
# binary, c58f3010... for the python version), as recorded by TensorFlow Datasets, torchvision and
# others. Visual Wake Words: its maker publishes none; this is the value that several independent
# projects recorded for the same URL and size.
ARCHIVES = {
    archive.name: archive
    for archive in (
        Archive(
            name="cifar10",
            title="CIFAR-10, binary version",
            url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            folder="cifar-10-batches-bin",
            inner="cifar-10-batches-bin",
            size=170_052_171,
            sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        Archive(
            name="cifar10-python",
            title="CIFAR-10, python version",
            url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            folder="cifar-10-batches-py",
            inner="cifar-10-batches-py",
            size=170_498_071,
            sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        ),
        Archive(
            name="speech",
            title="Speech Commands v2",
            url="https://storage.googleapis.com/download.tensorflow.org/data/"
            "speech_commands_v0.02.tar.gz",
            folder="speech_commands_v0.02",
            inner="",
            size=2_428_923_189,
            sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        ),
        Archive(
            name="vww",
            title="Visual Wake Words, 96x96, from COCO 2014",
            url="https://www.silabs.com/public/files/github/machine_learning/benchmarks/datasets/"
            "vw_coco2014_96.tar.gz",
            folder="vw_coco2014_96",
            inner="vw_coco2014_96",
            size=234_810_765,
            sha256="f8746b9e44f8a7a4293f73be9ba6e8da9239fe69798d42364aae62b915cfab58",
        ),
    )
}


def find_archive(name: str) -> Archive:
    """The archive called `name`. Raises `DataError` naming the nearest when there is none."""
    if name not in ARCHIVES:
        raise DataError(f"unknown data set {name!r}; {nearest(name, ARCHIVES)}")
    return ARCHIVES[name]


def fetch(
    archive: str | Archive,
    dest: str | Path,
    *,
    url: str | None = None,
    sha256: str | None = None,
    keep_archive: bool = False,
    progress: Progress | None = None,
    attempts: int = 5,
    wait_s: float = 1.0,
) -> Path:
    """Download and unpack an archive, unless that is done already.

    Args:
        archive: a name of `ARCHIVES`, or one of your own.
        dest: folder to put the data's folder into. An archive that lies there is not downloaded.
        url, sha256: in place of the archive's own, for a mirror or another version.
        attempts: tries in a row that may bring no further byte before the download stops.
        wait_s: pause before the second such try, in seconds; doubled each time.

    Returns:
        The data's folder.

    Raises:
        DataError: the download fails or is interrupted (what came is kept), the checksum differs
            (what came is removed), the archive is damaged or unsafe, the disk is full, or the
            folder exists and was not fetched from this archive.
    """
    archive = find_archive(archive) if isinstance(archive, str) else archive
    archive = replace(archive, url=url or archive.url, sha256=(sha256 or archive.sha256))
    _check(archive)
    progress = progress or (lambda stage, done, total: None)
    folder = Path(dest) / archive.folder
    if folder.exists():
        _check_existing(folder, archive)
        return folder
    try:
        Path(dest).mkdir(parents=True, exist_ok=True)
        file = Path(dest) / PurePosixPath(urlsplit(archive.url).path).name
        if file.exists():
            _verify(archive, file, progress)
        else:
            part = file.with_name(f"{file.name}.part")
            _download(archive.url, part, progress, attempts, wait_s)
            _verify(archive, part, progress, remove=True)
            os.replace(part, file)
        _unpack(archive, file, folder, progress)
        if not keep_archive:
            file.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot store {archive.title} in {dest}: {reason}") from None
    return folder


@contextlib.contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on stderr: `with progress_bar() as bar: fetch(..., progress=bar)`."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description:8}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bars = Progress(*columns, console=Console(stderr=True))
    tasks = {}

    def update(stage: str, done: int, total: int | None) -> None:
        bars.start()
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done, total=total)

    try:
        yield update
    finally:
        if tasks:  # stopping a display that never began would print an empty line
            bars.stop()


def _check(archive: Archive) -> None:
    try:
        parts = urlsplit(archive.url)
    except ValueError as error:
        raise DataError(
            f"an archive's URL must be well-formed, got {archive.url}: {error}"
        ) from None
    if parts.scheme not in ("http", "https") or not PurePosixPath(parts.path).name:
        raise DataError(f"an archive's URL must be http(s) and name a file, got {archive.url}")
    digest = archive.sha256
    if digest is None:
        raise DataError(f"no SHA-256 is known for {archive.url}: give one")
    if len(digest) != 64 or not set(digest.lower()) <= set("0123456789abcdef"):
        raise DataError(f"a SHA-256 must be 64 hexadecimal digits, got {digest!r}")


def _check_existing(folder: Path, archive: Archive) -> None:
    try:
        origin = json.loads((folder / MARKER).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"{folder} exists and was not fetched by trecx: use it as it is, or remove it first"
        ) from None
    if origin != archive.sha256.lower():
        raise DataError(
            f"{folder} comes from an archive with SHA-256 {origin}, not {archive.sha256}: "
            "remove it first"
        )


# --- download --------------------------------------------------------------------------------


class _Interrupted(Exception):
    """The download broke off; trying again may help."""


def _download(url: str, part: Path, progress: Progress, attempts: int, wait_s: float) -> None:
    """Fill `part`, going on where it ends, until it is complete."""
    failures = 0
    while True:
        before = _size(part)
        try:
            _download_rest(url, part, progress)
            return
        except _Interrupted as error:
            reason = error
        failures = 0 if _size(part) > before else failures + 1
        if failures >= attempts:
            raise DataError(
                f"{url}: download stopped at {_size(part):,} bytes ({reason}): "
                "run it again to go on from there"
            )
        if failures:
            time.sleep(wait_s * 2 ** (failures - 1))


def _download_rest(url: str, part: Path, progress: Progress) -> None:
    """Ask once for what `part` lacks. Raises `_Interrupted` if it still lacks something."""
    have = _size(part)
    response = _request(url, have)
    if response is None:  # nothing lies beyond what is there
        return
    with response:
        if response.status == 206:
            if _start_of(response.headers.get("Content-Range")) != have:
                raise _Interrupted("the server sent another part than asked for")
            mode, done = "ab", have
        else:  # a server that cannot resume sends everything
            mode, done = "wb", 0
        length = response.length  # None also where the header is no number
        total = done + length if length is not None else None
        with open(part, mode) as out:
            progress("download", done, total)
            while chunk := _read(response):
                out.write(chunk)
                done += len(chunk)
                progress("download", done, total)
    if total is not None and done < total:
        raise _Interrupted("the connection closed early")


def _request(url: str, have: int) -> http.client.HTTPResponse | None:
    """The server's answer with the bytes from `have` on; None when there are none."""
    headers = {"User-Agent": "trecx", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # whether what is there is right, the checksum tells
                return None
            reason = f"{error.code} {error.reason}"
            if error.code >= 500:
                raise _Interrupted(reason) from None
            raise DataError(f"{url}: the server answers {reason}") from None
    except urllib.error.URLError as error:
        raise _Interrupted(error.reason) from None
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(error) from None


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(error) from None


def _start_of(content_range: str | None) -> int | None:
    """The 100 of "bytes 100-199/200"."""
    with contextlib.suppress(AttributeError, ValueError):
        return int(content_range.removeprefix("bytes ").split("-")[0])
    return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


# --- check and unpack ------------------------------------------------------------------------


def _verify(archive: Archive, file: Path, progress: Progress, *, remove: bool = False) -> None:
    digest, done, total = hashlib.sha256(), 0, _size(file)
    with open(file, "rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress("check", done, total)
    if digest.hexdigest() != archive.sha256.lower():
        if remove:
            file.unlink()
        raise DataError(
            f"{file}: SHA-256 must be {archive.sha256}, got {digest.hexdigest()}: "
            + ("what came was removed; " if remove else "remove it; ")
            + "try again, or give the right checksum if the data was published anew"
        )


def _unpack(archive: Archive, file: Path, folder: Path, progress: Progress) -> None:
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        try:
            unpack_tar(file, work, progress)
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the disk, not of the archive's content
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(f"{file}: must be an undamaged tar archive ({reason})") from None
        data = work / archive.inner
        if not data.is_dir():
            found = ", ".join(sorted(path.name for path in work.iterdir())[:6])
            raise DataError(f"{file} must hold a folder {archive.inner}/, got {found or 'nothing'}")
        origin = {"name": archive.name, "url": archive.url, "sha256": archive.sha256.lower()}
        write_atomic(data / MARKER, json.dumps(origin, indent=1) + "\n")
        data.chmod(0o755)
        os.replace(data, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def unpack_tar(file: Path, folder: Path, progress: Progress | None = None) -> None:
    """Unpack a tar archive's folders and plain files into an existing folder.

    Raises:
        DataError: a member would lie outside `folder`, or is a link or a device.
        tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError: the archive is damaged.
    """
    total = _size(file)
    with open(file, "rb") as raw, tarfile.open(fileobj=raw, mode="r:*") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            if (
                path.is_absolute()
                or ".." in path.parts
                or "\\" in member.name
                or ":" in member.name
            ):
                raise DataError(f"{file}: a member must lie inside its folder, got {member.name!r}")
            target = folder / path
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            elif member.isreg():
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "wb") as out:
                    shutil.copyfileobj(archive.extractfile(member), out, _CHUNK)
            else:
                raise DataError(f"{file}: a member must be a file or folder, got {member.name!r}")
            if progress:
                progress("unpack", raw.tell(), total)
