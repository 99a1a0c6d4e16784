"""Print the exact versions of this environment as pip constraints, for `make lock`.

Wheels, and so versions that fit together, differ between versions of Python: every line holds for
the one that it was made with, and others choose their own.
"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import distributions

NOT_OURS = {"pip", "setuptools", "wheel", "trecx"}


def main() -> None:
    python = "{}.{}".format(*sys.version_info)
    print(f"# Made by tools/lock.py on {platform.system()} with Python {python}; see `make lock`.")
    found = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions()}
    for name in sorted(set(found) - NOT_OURS):
        print(f'{name}=={found[name]}; python_version == "{python}"')


if __name__ == "__main__":
    main()
