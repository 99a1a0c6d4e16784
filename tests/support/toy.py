"""The toy model of toy_model.c: builds, inputs and what it must answer."""

from functools import cache
from pathlib import Path

import numpy as np

from trecx.targets.boards import list_boards, load_board
from trecx.targets.build import Firmware, build_firmware

SOURCE = Path(__file__).with_name("toy_model.c")

UNDEFINED_INSTRUCTION = 101
WILD_READ = 102
ENDLESS_LOOP = 103
STACK_OVERFLOW = 104
ARENA_OVERFLOW = 105
NEGATIVE_STATUS = 106
WRITE_TO_FLASH = 107

EMULATED = tuple(board.name for board in list_boards() if not board.is_host)


@cache
def toy_firmware(board: str, folder: Path, app: str = "batch", **options) -> Firmware:
    return build_firmware([SOURCE], load_board(board), app, folder, model="toy_model", **options)


def toy_inputs(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-100, 100, (count, 8)).astype(np.int8)


def toy_answers(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(exit index, outputs) of the toy model."""
    full = np.clip(x[:, :4].astype(int) + x[:, 4:], -128, 127).astype(np.int8)
    early = x[:, 0] > 0
    return np.where(early, 0, 1), np.where(early[:, None], x[:, :4], full)


def misbehaving(how: int, sample: int = 2, count: int = 4) -> np.ndarray:
    x = toy_inputs(count)
    x[:, 7] = 0
    x[sample, 7] = how
    return x
