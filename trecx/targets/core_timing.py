"""Cycles of instruction sequences on Cortex-M cores, from their published timings.

Sources: Arm DDI0484C (Cortex-M0+), DDI0432C (M0), DDI0337 (M3) and 100166 (M4) technical reference
manuals; for M33 the timings that the SLOTHY project measured on silicon; for M7 and M55 the models
of the LLVM and GCC compilers. What a manual leaves open (the length of a pipeline refill, an early
end of a division, folding of IT) has a low, a nominal and a high value: `Assumption`.

All figures are for memory without wait states; the flash is added in trecx.targets.cycles.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trecx.errors import InputError
from trecx.targets.disassembly import Instruction, Kind, operand_registers


@dataclass(frozen=True)
class Assumption:
    """One choice for everything that the manuals leave open.

    refill: P, cycles to refill the pipeline after a taken branch (1 to 3 on M3 and M4).
    divide: cycles of a division (2 to 12, depends on the operands). it_folds: sizes in bytes of the
    instruction before an IT that make the IT cost nothing. store: cycles of a store with a register
    offset. target: cycles lost when a branch goes to a 32-bit instruction at a half-word address.
    base_waits: whether a load waits for the base address that the load before it updates.
    mispredict: average cycles lost for each taken branch on cores that predict.
    """

    refill: int
    divide: int
    it_folds: tuple[int, ...]
    store: int
    target: int
    base_waits: bool
    mispredict: float

    def it(self, before: Instruction | None) -> int:
        """Cycles of an IT after that instruction."""
        return 0 if before is not None and before.size in self.it_folds else 1


LOW = Assumption(
    refill=1, divide=2, it_folds=(2, 4), store=1, target=0, base_waits=False, mispredict=0.0
)
NOMINAL = Assumption(
    refill=2, divide=7, it_folds=(2,), store=1, target=1, base_waits=False, mispredict=0.5
)
HIGH = Assumption(
    refill=3, divide=12, it_folds=(), store=2, target=1, base_waits=True, mispredict=1.5
)
ASSUMPTIONS = (LOW, NOMINAL, HIGH)


def transfers(instruction: Instruction) -> int:
    """Words that a load or store moves (a Helium instruction counts as one)."""
    if instruction.base in ("ldrd", "strd"):
        return 2
    if "{" in instruction.operands:
        listed = operand_registers(instruction.operands.split("{")[1])
        return sum(2 if name[0] == "d" else 1 for name in listed)
    return 2 if re.match(r"d\d+, \[", instruction.operands) else 1


def is_branch(instruction: Instruction) -> bool:
    return instruction.kind is Kind.BRANCH or "pc" in instruction.writes


class CoreTiming(ABC):
    """Timing of one core. error: relative uncertainty of the whole model at zero wait states."""

    error: float
    basis: str

    @abstractmethod
    def cycles(self, code: Sequence[Instruction], jumps: Sequence[bool], how: Assumption) -> float:
        """Cycles until the last instruction has issued.

        jumps[i]: whether the processor went elsewhere after code[i] (a branch was taken).
        """


class SequentialTiming(CoreTiming):
    """Cores that the manuals describe with a number of cycles for each instruction."""

    def cycles(self, code, jumps, how):
        total, before = 0.0, None
        for instruction, jump in zip(code, jumps, strict=True):
            total += self.one(instruction, before, jump, how)
            before = None if jump else instruction
        return total

    @abstractmethod
    def one(self, i: Instruction, before: Instruction | None, jump: bool, how: Assumption) -> float:
        """Cycles of an instruction; `before` is None at the target of a branch."""


@dataclass(frozen=True)
class Armv6mTiming(SequentialTiming):
    """Cortex-M0 and M0+: taken branch, BL, and the multiplier are what differs."""

    branch: int
    link: int
    multiply: int
    error: float = 0.05
    basis: str = "Arm DDI0432C and DDI0484C, cycle counts at zero wait states"

    def one(self, i, before, jump, how):
        if i.kind in (Kind.LOAD, Kind.STORE):
            multiple = i.base in ("push", "pop") or i.base.startswith(("ldm", "stm"))
            cost = 1 + transfers(i) if multiple else 2
            return cost + (self.branch if "pc" in i.writes else 0)
        if i.kind is Kind.BRANCH:
            if i.base == "bl":
                return self.link
            return self.branch if jump else 1
        if i.kind is Kind.MAC:
            return self.multiply
        if i.base in ("mrs", "msr"):
            return 4
        return 1


@dataclass(frozen=True)
class Armv7mTiming(SequentialTiming):
    """Cortex-M3 and M4: three stages, loads that follow each other overlap."""

    accumulate: int  # MLA, MLS
    long_multiply: int
    long_accumulate: int
    error: float = 0.10
    basis: str = "Arm DDI0337 and 100166, instruction timings at zero wait states"

    def one(self, i, before, jump, how):
        cost = self._alone(i, before, how) + self._address_wait(i, before)
        return cost + how.refill if jump and is_branch(i) else cost

    def _alone(self, i: Instruction, before: Instruction | None, how: Assumption) -> float:
        if i.kind is Kind.LOAD:
            return self._load(i, before, how)
        if i.kind is Kind.STORE:
            return self._store(i, how)
        if i.kind is Kind.DIVIDE:
            return 14 if i.base.startswith("v") else how.divide
        if i.kind is Kind.MAC:
            return self._multiply(i)
        if i.base == "it":
            return how.it(before)
        if i.base in ("tbb", "tbh"):
            return 3
        return 2 if i.base in ("mrs", "msr", "vmrs", "vmsr") else 1

    @staticmethod
    def _load(i: Instruction, before: Instruction | None, how: Assumption) -> int:
        count = transfers(i)
        if i.base == "pop" or count > 1 or i.base.startswith(("ldm", "vldm", "vpop")):
            return 1 + count
        if before is None or not _is_single_load(before):
            return 2
        waits_for = before.writes if how.base_waits else before.loaded
        return 2 if waits_for & i.reads else 1

    @staticmethod
    def _store(i: Instruction, how: Assumption) -> int:
        count = transfers(i)
        if i.base == "push" or count > 1 or i.base.startswith(("stm", "vstm", "vpush")):
            return 1 + count
        if i.base.startswith("vstr"):
            return 2
        return how.store if _has_register_offset(i) else 1

    def _multiply(self, i: Instruction) -> int:
        if i.base.startswith("v"):
            return 1 if i.base.startswith(("vmul", "vnmul")) else 3
        if i.base in ("mla", "mls"):
            return self.accumulate
        if i.base in ("smull", "umull"):
            return self.long_multiply
        if i.base in ("smlal", "umlal", "umaal"):
            return self.long_accumulate
        return 1

    @staticmethod
    def _address_wait(i: Instruction, before: Instruction | None) -> int:
        """One cycle when the address is computed by the data-processing instruction before."""
        if before is None or i.kind not in (Kind.LOAD, Kind.STORE):
            return 0
        if before.kind not in (Kind.ALU, Kind.MAC, Kind.DIVIDE):
            return 0
        return 1 if before.writes & _address_registers(i) else 0


def _is_single_load(i: Instruction) -> bool:
    return i.kind is Kind.LOAD and transfers(i) == 1 and "pc" not in i.writes and i.base != "pop"


def _has_register_offset(i: Instruction) -> bool:
    inside = i.operands.split("[")[-1].split("]")[0]
    return "," in inside and "#" not in inside


def _address_registers(i: Instruction) -> frozenset[str]:
    """Registers of the address of a load or store."""
    if i.kind is Kind.LOAD:
        return i.reads
    if "[" not in i.operands:
        return frozenset({"sp"}) if i.base in ("push", "vpush") else i.reads
    data = i.operands.split("[")[0]
    return frozenset(name for name in i.reads if name not in data.replace(" ", "").split(","))


@dataclass(frozen=True)
class Cost:
    """How an instruction uses a pipeline.

    busy: cycles in which its unit takes nothing else. latency: cycles until its result can be used;
    accumulate: the same for the accumulator of a following multiply-accumulate. alone: nothing
    else issues in the same cycle.
    """

    unit: str
    busy: float = 1
    latency: float = 1
    accumulate: float | None = None
    alone: bool = False


class ScoreboardTiming(CoreTiming):
    """In-order cores with result latencies: an instruction issues when its operands and unit are
    ready, at most `width` in a cycle."""

    width: int
    units: ClassVar[dict[str, int]]

    @abstractmethod
    def cost(self, i: Instruction, how: Assumption) -> Cost: ...

    @abstractmethod
    def taken(self, i: Instruction, how: Assumption) -> float:
        """Cycles lost when control goes elsewhere after `i`."""

    def cycles(self, code, jumps, how):
        ready: dict[str, float] = {}
        accumulator: dict[str, float] = {}
        free = {unit: [0.0] * count for unit, count in self.units.items()}
        now, slots = 0.0, 0
        for i, jump in zip(code, jumps, strict=True):
            cost = self.cost(i, how)
            start = now
            for name in i.reads:
                early = name in i.writes and cost.accumulate is not None and name in accumulator
                start = max(start, accumulator[name] if early else ready.get(name, 0.0))
            unit = free[cost.unit]
            which = min(range(len(unit)), key=unit.__getitem__)
            start = max(start, unit[which])
            if start > now:
                slots = 0
            elif slots >= self.width or (cost.alone and slots):
                start, slots = max(now + 1, unit[which]), 0
            now = start
            slots = self.width if cost.alone else slots + 1
            unit[which] = now + cost.busy
            for name in i.writes:
                is_base = i.kind in (Kind.LOAD, Kind.STORE) and name not in i.loaded
                ready[name] = now + (1 if is_base else cost.latency)
                accumulator.pop(name, None)
                if cost.accumulate is not None:
                    accumulator[name] = now + cost.accumulate
            if cost.alone and cost.busy > 1:
                now += cost.busy - 1
            if jump:
                now, slots = now + 1 + self.taken(i, how), 0
        return now + (1 if slots else 0)


class CortexM33Timing(ScoreboardTiming):
    """One instruction a cycle; loads and multiplies have a latency of two."""

    error = 0.10
    basis = "timings measured on silicon by the SLOTHY project (third party)"
    width = 1
    units: ClassVar[dict[str, int]] = {"core": 1}

    def cost(self, i, how):
        if i.kind is Kind.LOAD:
            count = transfers(i)
            return Cost("core", busy=count, latency=count + 1)
        if i.kind is Kind.STORE:
            return Cost("core", busy=transfers(i))
        if i.kind is Kind.MAC:
            scalar_float = i.base.startswith("v")
            return Cost("core", latency=3 if scalar_float else 2, accumulate=1)
        if i.kind is Kind.DIVIDE:
            cycles = 14 if i.base.startswith("v") else how.divide
            return Cost("core", busy=cycles, latency=cycles)
        return Cost("core", latency=2 if _has_shifted_operand(i) else 1)

    def taken(self, i, how):
        return float(how.refill)


class CortexM7Timing(ScoreboardTiming):
    """Two instructions a cycle, predicted branches, loads and multiplies in two cycles."""

    error = 0.25
    basis = "the models of LLVM, GCC and SLOTHY (there is no official table)"
    width = 2
    units: ClassVar[dict[str, int]] = {
        "alu": 2,
        "shift": 1,
        "load": 2,
        "store": 1,
        "mac": 1,
        "fpu": 1,
        "branch": 1,
    }

    def cost(self, i, how):
        count = transfers(i) if i.kind in (Kind.LOAD, Kind.STORE) else 1
        if i.kind is Kind.LOAD:
            return Cost("load", busy=(count + 1) // 2, latency=1 + count, alone=count > 1)
        if i.kind is Kind.STORE:
            return Cost("store", busy=(count + 1) // 2, alone=count > 1)
        if i.kind is Kind.MAC:
            if i.base.startswith("v"):
                return Cost("fpu", latency=5 if "ml" in i.base or "fm" in i.base else 3)
            return Cost("mac", latency=2, accumulate=1)
        if i.kind is Kind.DIVIDE:
            cycles = 16 if i.base.startswith("v") else how.divide
            return Cost("mac", busy=cycles, latency=cycles, alone=True)
        if i.kind is Kind.FLOAT:
            return Cost("fpu", latency=3)
        if i.kind is Kind.BRANCH:
            return Cost("branch")
        if _has_shifted_operand(i) or i.base in _EXTENDS:
            return Cost("shift", latency=1)
        return Cost("alu")

    def taken(self, i, how):
        return how.mispredict


class CortexM55Timing(ScoreboardTiming):
    """One instruction a cycle; a Helium instruction holds its pipe for two beats."""

    error = 0.30
    basis = "the model of LLVM"
    width = 1
    units: ClassVar[dict[str, int]] = {"core": 1, "vls": 1, "vint": 1, "vmul": 1}

    def cost(self, i, how):
        vector = any(name[0] == "q" for name in i.reads | i.writes)
        if i.kind in (Kind.LOAD, Kind.STORE):
            if vector:
                return Cost("vls", busy=2, latency=2)
            count = transfers(i)
            return Cost("core", busy=(count + 1) // 2, latency=1 + (count + 1) // 2)
        if i.kind is Kind.MAC:
            return Cost(
                "vmul" if vector else "core",
                busy=2 if vector else 1,
                latency=2,
                accumulate=2 if vector else 1,
            )
        if i.kind is Kind.VECTOR:
            return Cost("vint", busy=2, latency=2)
        if i.kind is Kind.DIVIDE:
            cycles = 14 if i.base.startswith("v") else how.divide
            return Cost("core", busy=cycles, latency=cycles)
        if i.base == "le":
            return Cost("core", busy=0)
        return Cost("core", latency=2 if _has_shifted_operand(i) else 1)

    def taken(self, i, how):
        # The loop state of LE is kept: no branch happens on silicon after the first round.
        return -1.0 if i.base in ("le", "letp") else float(how.refill)


_EXTENDS = {"sxtb", "sxth", "uxtb", "uxth", "sxtb16", "uxtb16", "ubfx", "sbfx", "bfi"}


def _has_shifted_operand(i: Instruction) -> bool:
    if i.kind is not Kind.ALU:
        return False
    return any(f", {shift} " in i.operands for shift in ("asr", "lsr", "ror"))


_CORES: dict[str, CoreTiming] = {
    "cortex-m0": Armv6mTiming(branch=3, link=4, multiply=1),
    "cortex-m0plus": Armv6mTiming(branch=2, link=3, multiply=1),
    "cortex-m3": Armv7mTiming(accumulate=2, long_multiply=4, long_accumulate=5),
    "cortex-m4": Armv7mTiming(accumulate=1, long_multiply=1, long_accumulate=1),
    "cortex-m33": CortexM33Timing(),
    "cortex-m7": CortexM7Timing(),
    "cortex-m55": CortexM55Timing(),
}


def core_timing(core: str) -> CoreTiming:
    """The timing model of a core. Raises InputError when there is none."""
    if core not in _CORES:
        raise InputError(f"there is no timing model of {core!r} (cores: {', '.join(_CORES)})")
    return _CORES[core]
