"""Every error that trecx raises on purpose.

The command line prints the message of a `TrecxError` as one line and exits with its `exit_code`;
any other exception is a bug. A message says the rule, the value received, and what to do.

    TrecxError
    |- InputError                 what the user gave cannot be used
    |  |- ModelFormatError        not a well-formed .tflite file
    |  |- UnsupportedModelError   well-formed, but outside what trecx handles
    |  |- CutError                the graph cannot be cut there
    |  |- BundleError             a bundle is incomplete, altered, or of another version
    |  |- DataError               a data set is missing, of the wrong layout, or corrupt
    |  `- BudgetError             no setting meets the budget that was asked for
    |- CapacityError              does not fit the board's RAM or flash
    |- ToolMissingError           a compiler, emulator or optional package is not installed
    |- TargetError                the program on the target failed
    |  |- FaultError              processor fault
    |  |- TargetTimeoutError      no answer in time
    |  `- MemoryGuardError        stack overflow or damaged arena canary
    |- TrainingError              training cannot go on (NaN loss, mismatched resume)
    |  `- StorageError            a file of the run cannot be written (a full disk)
    `- VerificationError          an internal check failed: trecx produced something wrong

`TrecxWarning` is for what does not stop the work; the command line prints it as one line too.
"""


class TrecxError(Exception):
    """Base of all; `exit_code` is the process's exit status."""

    exit_code = 1


class InputError(TrecxError, ValueError):
    exit_code = 2


class ModelFormatError(InputError):
    pass


class UnsupportedModelError(InputError):
    pass


class CutError(InputError):
    pass


class BundleError(InputError):
    pass


class DataError(InputError):
    pass


class BudgetError(InputError):
    pass


class CapacityError(TrecxError):
    exit_code = 3


class ToolMissingError(TrecxError):
    exit_code = 4


class TargetError(TrecxError):
    exit_code = 5


class FaultError(TargetError):
    pass


class TargetTimeoutError(TargetError):
    pass


class MemoryGuardError(TargetError):
    pass


class TrainingError(TrecxError):
    exit_code = 6


class StorageError(TrainingError):
    pass


class VerificationError(TrecxError):
    exit_code = 7


class TrecxWarning(UserWarning):
    pass
