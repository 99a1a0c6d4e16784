"""Where the C sources of trecx are: beside the installed package, or in the checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from trecx.errors import ToolMissingError


@cache
def deploy_path() -> Path:
    """The folder with include/, kernels/, runtime/, boards/ and firmware/.

    A wheel installs it as trecx/_deploy; an editable install has only the checkout's deploy/.
    Raises ToolMissingError when neither exists.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_deploy", package.parent / "deploy"):
        if (folder / "include" / "trecx" / "model.h").is_file():
            return folder
    raise ToolMissingError(
        f"the C sources of trecx are missing: neither {package / '_deploy'} nor "
        f"{package.parent / 'deploy'} holds include/trecx/model.h; install trecx again"
    )
