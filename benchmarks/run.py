"""All benchmarks, one after the other: python -m benchmarks.run

Instruction counts, memory and flash are deterministic and compared with budgets.json; seconds
depend on the machine and are printed only.
"""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = ("inference", "mfcc_speed", "training_speed")


def main() -> None:
    failed = []
    for name in BENCHMARKS:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
