"""Pillow, which is optional: the `train` extra installs it."""

from trecx.errors import ToolMissingError

_ORIENTATION = 0x0112  # the EXIF tag


def pillow():
    """The module PIL.Image. Raises `ToolMissingError` when Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError:
        raise ToolMissingError(
            "reading images needs Pillow, which is not installed: pip install 'trecx[train]'"
        ) from None
    return Image


def upright(image):
    """An opened image as its camera was held; EXIF data that are damaged turn nothing."""
    turns = pillow().Transpose
    how = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }
    try:
        turn = how.get(image.getexif().get(_ORIENTATION))
    except Exception:  # Pillow has no one error for them, and the pixels may still be good.
        turn = None
    return image if turn is None else image.transpose(turn)
