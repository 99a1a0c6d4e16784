"""Pillow, which is optional: the `train` extra installs it."""

from trecx.errors import ToolMissingError


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
    """An opened image as its camera was held (EXIF orientation)."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)
