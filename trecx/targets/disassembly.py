"""Thumb instructions of a firmware: mnemonic, class, and the registers read and written."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

from trecx.errors import ToolMissingError
from trecx.targets.toolchain import find_tool


class Kind(Enum):
    """Class of an instruction in the mix that reports show.

    MAC: every multiply, with or without accumulation, scalar or vector. ALU: other data
    processing on core registers. VECTOR: other Helium data processing. FLOAT: scalar floating
    point. SYSTEM: no-operations, IT, barriers, special registers, breakpoints.
    """

    LOAD = "load"
    STORE = "store"
    ALU = "alu"
    MAC = "mac"
    DIVIDE = "divide"
    BRANCH = "branch"
    VECTOR = "vector"
    FLOAT = "float"
    SYSTEM = "system"


@dataclass(frozen=True)
class Instruction:
    """One instruction. base: mnemonic without width, condition and flag suffixes.

    operands: as the disassembler prints them. conditional: inside an IT or VPT block, or a
    conditional branch. reads, writes: core registers ("r0" to "r12", "sp", "lr", "pc"),
    floating-point or vector registers ("s3", "d1", "q2") and "flags".
    """

    address: int
    size: int
    mnemonic: str
    base: str
    operands: str
    kind: Kind
    conditional: bool
    reads: frozenset[str]
    writes: frozenset[str]

    @property
    def end(self) -> int:
        return self.address + self.size

    @property
    def loaded(self) -> frozenset[str]:
        """Registers that receive what a load reads: those written, but an updated base address."""
        if self.kind is not Kind.LOAD:
            return frozenset()
        return self.writes - _written_back(self.operands)

    @property
    def target(self) -> int | None:
        """Address that a direct branch goes to."""
        found = re.search(r"(?:^|[ ,])([0-9a-f]+) <", self.operands)
        return int(found.group(1), 16) if self.kind is Kind.BRANCH and found else None

    @property
    def text(self) -> str:
        return f"{self.mnemonic} {self.operands}".strip()


_CONDITION = r"(?:eq|ne|[ch]s|cc|lo|mi|pl|v[sc]|hi|ls|ge|lt|gt|le|al)"
# Base mnemonics of each kind, without the suffixes for flags, condition and width.
_FAMILIES = {
    Kind.LOAD: r"ldr(ex)?(s?[bh]|d|t)?|ldm(ia|db|fd|ea)?|pop|lda[bh]?",
    Kind.STORE: r"str(ex)?([bh]|d|t)?|stm(ia|db|fd|ea)?|push|stl[bh]?",
    Kind.BRANCH: r"b|bl|bl?x(ns)?|cbn?z|tb[bh]|le(tp)?|[dw]ls(tp)?|lctp",
    Kind.MAC: r"mul|ml[as]|[su]mull|[su]mlal|umaal|smlal?(dx?|[bt][bt])|smlaw[bt]|sml?sl?dx?"
    r"|smul([bt][bt]|w[bt])|smu[as]dx?|smm(la|ls|ul)r?",
    Kind.DIVIDE: r"[su]div",
    Kind.SYSTEM: r"nop|it[te]*|bkpt|cps(id|ie)|dmb|dsb|isb|mrs|msr|svc|udf|wf[ei]|sev|yield|clrex"
    r"|sg|bf|csdb|pld",
    Kind.ALU: r"adc|addw?|adr|and|asrl?|bf[ci]|bic|clz|cm[np]|csel|csetm?|cs?(inc|inv|neg)|eor"
    r"|ls[lr]l?|mov[tw]?|mvn|neg|or[nr]|pkh(bt|tb)|qd?(add|sub)|(s|u|q|sh|uh|uq)(add|sub)(8|16)"
    r"|(s|u|q|sh|uh|uq)(asx|sax)|rbit|rev(16|sh)?|ror|rrx|rsb|[su]bfx|sbc|sel|[su]sat(16)?|subw?"
    r"|[su]xta?([bh]|b16)|teq|tst|usada?8|[su]qr?sh[lr]l?|[su]rshrl?",
}
_FAMILY_PATTERN = {kind: re.compile(pattern) for kind, pattern in _FAMILIES.items()}
# Data processing that writes no register but the flags.
_ONLY_FLAGS = {"cmp", "cmn", "tst", "teq"}
# The destination is also a source.
_READ_MODIFY_WRITE = {"movt", "bfi", "bfc", "smlal", "umlal", "umaal", "smlald", "smlaldx"}
_TWO_DESTINATIONS = re.compile(r"[su]mull|[su]mlal\w*|umaal|smlsldx?|asrl|ls[lr]l|ldrd")
_ALIASES = {"fp": "r11", "sl": "r10", "sb": "r9", "ip": "r12", "r13": "sp", "r14": "lr"}


def disassemble(elf: Path, isa: str) -> dict[int, Instruction]:
    """Every instruction of an Arm ELF file, by address.

    isa: kernel family of the board. For "mve" the architecture must be named: objdump does not
    find Helium by the file's attributes and would show coprocessor instructions.

    Raises ToolMissingError without arm-none-eabi-objdump.
    """
    tool = find_tool("arm-none-eabi-objdump")
    machine = ["-marmv8.1-m.main"] if isa == "mve" else []
    done = subprocess.run([tool, "-d", *machine, str(elf)], capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolMissingError(f"{tool} failed on {elf}: {done.stderr.strip()[:200]}")
    found = {}
    in_block = 0
    for line in done.stdout.splitlines():
        match = re.match(r"\s*([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(\S+)(?:\t(.*))?$", line)
        if match is None or match.group(3).startswith((".", "@")):
            continue
        address, raw, mnemonic, operands = match.groups()
        operands = re.sub(r"\s*[;@].*$", "", operands or "").strip()
        size = len(raw.replace(" ", "")) // 2
        instruction = _decode(int(address, 16), size, mnemonic, operands, in_block > 0)
        in_block = max(0, in_block - 1)
        if re.fullmatch(r"it[te]*", mnemonic):
            in_block = len(mnemonic) - 1
        elif re.match(r"vp(s?)t", mnemonic):
            in_block = len(re.match(r"vps?(t[te]*)", mnemonic).group(1))
        found[instruction.address] = instruction
    return found


def _decode(address, size, mnemonic, operands, in_block) -> Instruction:
    base, kind, has_condition, sets_flags = classify(mnemonic)
    conditional = in_block or (kind is Kind.BRANCH and (has_condition or base in ("cbz", "cbnz")))
    reads, writes = _registers(base, kind, operands)
    if sets_flags or base in _ONLY_FLAGS:
        writes |= {"flags"}
    if has_condition or in_block or base in ("adc", "sbc", "rrx", "sel", "csel"):
        reads |= {"flags"}
    return Instruction(
        address,
        size,
        mnemonic,
        base,
        operands,
        kind,
        conditional,
        frozenset(reads),
        frozenset(writes),
    )


@cache
def classify(mnemonic: str) -> tuple[str, Kind, bool, bool]:
    """(base mnemonic, kind, has a condition suffix, sets the flags) of a Thumb mnemonic."""
    if mnemonic.startswith("v"):
        return _classify_v(mnemonic)
    name = mnemonic.split(".")[0]
    condition = re.search(_CONDITION + "$", name)
    for suffix in ("", condition.group() if condition else None):
        if suffix is None:
            continue
        stem = name.removesuffix(suffix)
        for base, flags in ((stem, False), (stem.removesuffix("s"), True)):
            for kind, pattern in _FAMILY_PATTERN.items():
                if pattern.fullmatch(base) and (not flags or kind in (Kind.ALU, Kind.MAC)):
                    return base, kind, bool(suffix), flags
    return name, Kind.SYSTEM, False, False


def _classify_v(name: str) -> tuple[str, Kind, bool, bool]:
    """Floating-point and Helium mnemonics."""
    stem = name.split(".")[0]
    # Predication suffixes t and e of Helium, and conditions of floating point, do not matter here.
    if re.match(r"v(ldr|ldm|pop|ld[24]\d)", stem):
        return stem, Kind.LOAD, False, False
    if re.match(r"v(str|stm|push|st[24]\d)", stem):
        return stem, Kind.STORE, False, False
    if re.match(r"vp(st|t)|vctp|vmrs|vmsr|vscclrm|vlldm|vlstm|vpnot", stem):
        return stem, Kind.SYSTEM, False, False
    if re.match(
        r"v(mul|mull|mla|mls|fma|fms|fnm|nm|q?r?dmul|qr?dml|r?mulh|r?ml[as]|cmul|cmla)", stem
    ):
        return stem, Kind.MAC, False, False
    if re.match(r"v(div|sqrt)", stem):
        return stem, Kind.DIVIDE, False, False
    scalar = re.search(r"\.f(16|32|64)", name) and not re.search(r"\bq\d", name)
    return stem, Kind.FLOAT if scalar else Kind.VECTOR, False, False


def _registers(base: str, kind: Kind, operands: str) -> tuple[set[str], set[str]]:
    """Registers read and written, flags left out."""
    names = operand_registers(operands)
    if base in ("le", "letp"):
        return {"lr"}, {"lr"}
    if not names:
        return set(), set()
    if base in ("push", "pop", "vpush", "vpop"):
        listed = set(names)
        popped = base.endswith("pop")
        return ({"sp"}, listed | {"sp"}) if popped else (listed | {"sp"}, {"sp"})
    if base.startswith(("ldm", "stm", "vldm", "vstm")):
        address, listed = names[0], set(names[1:])
        moved = {address} if "!" in operands else set()
        if "ldm" in base:
            return {address}, listed | moved
        return listed | {address}, moved
    if kind is Kind.LOAD:
        split = len(operand_registers(operands.split("[")[0])) or 1
        return set(names[split:]), set(names[:split]) | _written_back(operands)
    if kind is Kind.STORE:
        return set(names), _written_back(operands)
    if kind is Kind.BRANCH:
        if base in ("dls", "wls", "dlstp", "wlstp"):
            return set(names[1:]), {"lr"}
        linked = {"lr"} if base in ("bl", "blx") else set()
        return set(names), linked
    if base in _ONLY_FLAGS:
        return set(names), set()
    count = 2 if _TWO_DESTINATIONS.fullmatch(base) else 1
    written = set(names[:count])
    read = set(names[count:])
    if base in _READ_MODIFY_WRITE or _accumulates(base) or len(names) == count == 1:
        read |= written if base not in ("mov", "movw", "mvn", "adr") else set()
    if kind is Kind.ALU and len(names) == 2 and "," in operands and _two_operand(base, operands):
        read |= written
    return read, written


def _accumulates(base: str) -> bool:
    return bool(re.match(r"v(mla|mls|fma|fms|rmla|mladav|mlaldav)", base)) and not base.endswith(
        "v"
    )


def _two_operand(base: str, operands: str) -> bool:
    """ "adds r0, r1" reads r0; "mov r0, r1" and "sxtb r0, r1" do not."""
    unary = {"mov", "mvn", "sxtb", "sxth", "uxtb", "uxth", "clz", "rbit", "rev", "rev16", "revsh"}
    return base not in unary and operands.count(",") == 1 and "#" not in operands


def _written_back(operands: str) -> set[str]:
    found = re.search(r"\[(\w+)[^\]]*\](!|,)", operands)
    return {_ALIASES.get(found.group(1), found.group(1))} if found else set()


def operand_registers(operands: str) -> list[str]:
    """Registers in the text of some operands, in order; ranges such as r4-r7 are spelled out."""
    text = re.sub(r"[0-9a-f]+ <[^>]*>", "", operands)
    names = []
    for first, last in re.findall(
        r"\b([rsdq]\d+|sp|lr|pc|fp|sl|sb|ip)(?:-([rsdq]\d+|lr|pc|sp|fp|sl|ip))?\b", text
    ):
        first, last = _ALIASES.get(first, first), _ALIASES.get(last, last)
        names += _expand(first, last) if last else [first]
    return names


def _expand(first: str, last: str) -> list[str]:
    """Registers of a range such as r4-r7, s16-s19 or r8-lr."""
    order = [f"r{i}" for i in range(13)] + ["sp", "lr", "pc"]
    if first in order and last in order:
        return order[order.index(first) : order.index(last) + 1]
    letter = first[0]
    return [f"{letter}{i}" for i in range(int(first[1:]), int(last[1:]) + 1)]
