"""trecx data."""

COMMANDS = ()
