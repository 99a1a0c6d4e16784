"""Read sections and symbols of a 32- or 64-bit little-endian ELF file."""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from trecx.errors import InputError

_SHT_SYMTAB = 2
_SHT_NOBITS = 8
_SHF_WRITE = 1
_SHF_ALLOC = 2
_STT_OBJECT = 1
_STT_FUNC = 2


@dataclass(frozen=True)
class Section:
    """writable: lives in RAM. stored: takes bytes of the file (and so of flash)."""

    name: str
    address: int
    size: int
    writable: bool
    stored: bool
    data: bytes


@dataclass(frozen=True)
class Symbol:
    """A function or an object; a function's address is without the Thumb bit."""

    name: str
    address: int
    size: int
    is_function: bool


@dataclass(frozen=True)
class ElfImage:
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]

    def function(self, name: str) -> Symbol:
        """The function of that name. Raises InputError when there is none."""
        for symbol in self.symbols:
            if symbol.is_function and symbol.name == name:
                return symbol
        raise InputError(f"the firmware has no function {name!r}")

    def functions(self) -> list[Symbol]:
        """Functions with a size, by address."""
        return sorted((s for s in self.symbols if s.is_function), key=lambda s: s.address)

    def code(self, address: int, size: int) -> bytes:
        """Bytes of the image; InputError outside all stored sections."""
        for section in self.sections:
            start = address - section.address
            if section.stored and start >= 0 and start + size <= section.size:
                return section.data[start : start + size]
        raise InputError(f"the firmware has no code at 0x{address:08x}")


class FunctionFinder:
    """Which function an address belongs to."""

    def __init__(self, image: ElfImage):
        self._functions = image.functions()
        self._starts = [f.address for f in self._functions]

    def __call__(self, address: int) -> Symbol | None:
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        found = self._functions[index]
        return found if address < found.address + max(found.size, 1) else None


def read_elf(path: Path) -> ElfImage:
    """Sections that are loaded or reserved, and the symbols of functions and objects.

    Raises InputError when the file is not a little-endian ELF file.
    """
    data = Path(path).read_bytes()
    if data[:4] != b"\x7fELF" or len(data) < 52 or data[5] != 1:
        raise InputError(f"{path} is not a little-endian ELF file")
    wide = data[4] == 2
    headers = _section_headers(data, wide)
    sections, symbols = [], []
    for header in headers:
        name, kind, flags, address, offset, size, link, entry = header
        body = b"" if kind == _SHT_NOBITS else data[offset : offset + size]
        if flags & _SHF_ALLOC and size:
            stored = kind != _SHT_NOBITS
            sections.append(Section(name, address, size, bool(flags & _SHF_WRITE), stored, body))
        if kind == _SHT_SYMTAB:
            strings = headers[link]
            names = data[strings[4] : strings[4] + strings[5]]
            symbols += _symbols(body, names, entry, wide)
    return ElfImage(tuple(sections), tuple(symbols))


def _section_headers(data: bytes, wide: bool) -> list[tuple]:
    if wide:
        (table,) = struct.unpack_from("<Q", data, 40)
        entry, count, names_index = struct.unpack_from("<HHH", data, 58)
        layout = struct.Struct("<IIQQQQIIQQ")
    else:
        (table,) = struct.unpack_from("<I", data, 32)
        entry, count, names_index = struct.unpack_from("<HHH", data, 46)
        layout = struct.Struct("<IIIIIIIIII")
    raw = [layout.unpack_from(data, table + i * entry) for i in range(count)]
    names_offset = raw[names_index][4]
    headers = []
    for name, kind, flags, address, offset, size, link, _, _, item in raw:
        headers.append(
            (_string(data, names_offset + name), kind, flags, address, offset, size, link, item)
        )
    return headers


def _symbols(body: bytes, names: bytes, entry: int, wide: bool) -> list[Symbol]:
    found = []
    for start in range(0, len(body), entry):
        if wide:
            name, info, _, section, value, size = struct.unpack_from("<IBBHQQ", body, start)
        else:
            name, value, size, info, _, section = struct.unpack_from("<IIIBBH", body, start)
        kind = info & 15
        if kind not in (_STT_OBJECT, _STT_FUNC) or section == 0:
            continue
        is_function = kind == _STT_FUNC
        address = value & ~1 if is_function and not wide else value
        found.append(Symbol(_string(names, name), address, size, is_function))
    return found


def _string(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode("utf-8", "replace")
