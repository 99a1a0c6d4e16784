"""The command line: click commands without logic of their own, one file a group.

Commands import what they need when they run, so that `trecx --help` starts at once and the
compiler side never loads a training package.
"""

from trecx.cli.main import main

__all__ = ["main"]
