"""trecx reports."""

COMMANDS = ()
