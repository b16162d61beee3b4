"""Redraws the figures, rechecks the claims and rewrites the report of a run directory, without training.

python -m launch.report runs/grokking
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from phenom_jax.hparams import InvalidValue
from phenom_jax.report.report import write_report
from phenom_jax.store.config import experiment_of

BAD_INPUT = 2


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0 done, 2 bad input."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m launch.report DIRECTORY    (the --out of a sweep)", file=sys.stderr)
        return 0 if set(arguments) & {"-h", "--help"} else BAD_INPUT
    directory = Path(arguments[0])
    try:
        report = write_report(directory, experiment_of(directory))
    except InvalidValue as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    for finding in report.findings:
        print(f"{finding.verdict:10}  {finding.claim.statement} {finding!s}")
    print(report.path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
