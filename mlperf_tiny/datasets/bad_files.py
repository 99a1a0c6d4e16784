"""What to do about files of a data set that cannot be used.

A few bad files in a big set are skipped with one warning that counts and names them. Many mean
that the set as a whole is of the wrong kind, which is an error.
"""

import warnings
from collections.abc import Mapping

from trecx.errors import DataError, TrecxWarning

# The largest share of files that may be skipped.
TOLERATED = 0.1
_NAMED = 3


class DataWarning(TrecxWarning):
    """Something about a data set that did not stop the work."""


def report_bad_files(reasons: Mapping[str, str], total: int, *, strict: bool = False) -> None:
    """Warn of the bad files, or stop.

    Args:
        reasons: file -> one-line message of why it cannot be used.
        total: number of files looked at, good and bad.
        strict: every bad file is an error.

    Raises:
        DataError: strict and there is a bad file, or more than a tenth of the files are bad.
    """
    if not reasons:
        return
    first = list(reasons.values())[:_NAMED]
    more = f" (and {len(reasons) - len(first)} more)" if len(reasons) > len(first) else ""
    named = "; ".join(first) + more
    if strict:
        raise DataError(f"{len(reasons)} of {total} files cannot be used: {named}")
    if len(reasons) > TOLERATED * total:
        raise DataError(
            f"at most {TOLERATED:.0%} of a data set's files may be unusable, "
            f"got {len(reasons)} of {total}: {named}"
        )
    warnings.warn(f"skipped {len(reasons)} of {total} files: {named}", DataWarning, stacklevel=3)
