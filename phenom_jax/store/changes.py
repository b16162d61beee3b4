"""Runs of other code in a run directory: whether a start may go on beside them, and what is said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from phenom_jax.hparams import InvalidValue
from phenom_jax.store.code import Code, changed
from phenom_jax.store.united import codes_in

SHOWN = 6  # modules named in a line


class Others:
    """The runs of a directory that the code of a start did not make, but for those that it trains again.

    Attributes:
      counts: how many, by digest of their code; "" where it was not kept.
    """

    def __init__(self, path: Path, now: str, codes: Mapping[str, Code], rerun: str | None):
        """Reads them from the results in `path`.

        Args:
          now: digest of the start's code, nothing where it has none: then all is taken as its own.
          codes: all that are known, by digest.
          rerun: as in `Settings`.
        """
        self._now, self._codes = now, codes
        self.counts: Counter[str] = Counter()
        for (status, code), count in codes_in(path).items() if now and rerun != "all" else ():
            if code != now and status not in ("waiting", rerun) and not (code and rerun == "changed"):
                self.counts[code] += count

    def refuse(self, path: Path, accepted: set[str]) -> None:
        """Raises InvalidValue, with the modules that changed, where there are others than unknown or accepted ones."""
        refused = self.counts.keys() - accepted - {""}
        if refused:
            raise InvalidValue(
                f"out: {path} has {self._described(refused)}, allowed is --rerun=changed, which trains them again, "
                "--accept_changes, which keeps them beside new ones, or another --out"
            )

    def remarks(self) -> Iterator[str]:
        """Yields what must be said where they are kept."""
        if known := self.counts.keys() - {""}:
            yield f"WARNING: as accepted, the results keep {self._described(known)}"
        if unknown := self.counts[""]:
            yield (
                f"{unknown} runs were made before code was recorded: whether it was this code is not known; "
                "--rerun=all trains them again"
            )

    def _described(self, codes: set[str]) -> str:
        differing = [changed(self._codes.get(code, {}), self._codes[self._now]) for code in codes]
        names = sorted({name for names in differing for name in names})
        shown = ", ".join(names if len(names) <= SHOWN else [*names[:SHOWN], f"{len(names) - SHOWN} more"])
        return f"{sum(self.counts[code] for code in codes)} runs of other code (changed: {shown})"
