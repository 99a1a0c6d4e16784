"""trecx boards."""

COMMANDS = ()
