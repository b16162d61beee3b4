"""The Claim: a statement, its source, a number of one unit, and the rule that was fixed before the number was seen."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping

import xarray as xr

from phenom_jax.claims.rules import Rule
from phenom_jax.fingerprint import decisive
from phenom_jax.laws.scales import CENTRES, Scale

LEAST = 5  # units below which nothing is decided


class NotTested(Exception):
    """The sweep has not got what a claim is about; the message says what is missing."""


def need(condition: object, what: str) -> None:
    """Raises NotTested unless the condition is true: `need(len(decays) > 1, "two weight decays above 0")`."""
    if not condition:
        raise NotTested(what)


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a statement comes from; `NANDA["section 5"]` is a place in it."""

    citation: str
    link: str = ""
    place: str = ""

    def __getitem__(self, place: str) -> Source:
        return dataclasses.replace(self, place=place)

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.citation, self.place)))


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement that is decided over independent units by a number of each.

    Attributes:
      statement: what is claimed, one sentence.
      source: who says so.
      of_one_unit: `(runs of one unit) -> number`, whose docstring says what the number is; NaN where the unit says
        nothing. True or False on the share scale. A mapping from cell to number is a family: the claim holds if all
        its cells do, by intervals that hold together. Raises NotTested (by `need`) where the sweep has not got it.
      rule: the zone in which the number must lie, in its own units.
      about: `(results) -> bool[run]`, which of the runs that ended the claim is about; its docstring says so.
      scale: what is estimated over units: "natural" the mean; "log" the geometric mean of positive numbers; "share"
        how many units say True; "rank" the median, for numbers that may be infinite; "exact" each unit's own number,
        which has no sampling error.
      unit: the coordinate whose values are independent.
      least: units below which nothing is decided.
      published: the number or picture of the source, as text.
      figure: the name of the experiment's figure that shows it.
      presets: those whose sweep tests it, "" for the default; the confirmed table has a row for each.
    """

    statement: str
    source: Source
    of_one_unit: Callable[[xr.Dataset], float | bool | Mapping[str, float]]
    rule: Rule
    about: Callable[[xr.Dataset], xr.DataArray] | None = None
    scale: Scale = "natural"
    unit: str = "seed"
    least: int = LEAST
    published: str = ""
    figure: str = ""
    presets: tuple[str, ...] = ("",)

    def __post_init__(self) -> None:
        if self.scale == "exact":
            object.__setattr__(self, "least", 1)
        elif self.least < LEAST:
            raise ValueError(f"least: {self.least} units of {self.statement!r}, allowed are {LEAST} and more")
        for function in filter(None, (self.of_one_unit, self.about)):
            if not _said(function):
                raise ValueError(f"{function}: of {self.statement!r} has no docstring that says what it is")

    @property
    def quantity(self) -> str:
        """What the number is, from the docstring."""
        return _said(self.of_one_unit)

    @property
    def ruled(self) -> str:
        """The rule in words."""
        (centre, how), unit = CENTRES[self.scale], self.unit.replace("_", " ")
        about = f" About {_said(self.about)}." if self.about else ""
        if self.scale == "exact":
            return f"Holds if the number of every {unit} lies {self.rule}.{about}"
        return (
            f"Holds if the 95 % interval ({how}) of the {centre} over {unit}s lies {self.rule}, fails if it lies "
            f"wholly outside; fewer than {self.least} {unit}s decide nothing.{about}"
        )

    def fingerprint(self, flags: Mapping[str, str]) -> str:
        """Returns a hash of all that decides a verdict beside the data: rule, statistic, and the preset's flags."""
        code = [decisive(function) for function in (self.of_one_unit, self.about) if function]
        rule = [self.statement, self.rule.low, self.rule.high, self.scale, self.unit, self.least]
        return hashlib.sha256(repr([rule, sorted(flags.items()), code]).encode()).hexdigest()[:12]


def _said(function: Callable) -> str:
    """Returns the first paragraph of a docstring as words in a sentence, its {names} filled in from a partial."""
    partial = function if isinstance(function, functools.partial) else functools.partial(function)
    said = (inspect.getdoc(partial.func) or "").split("\n\n")[0].replace("\n", " ").removesuffix(".")
    said = said.format(**partial.keywords) if partial.keywords else said
    return said if said[:2].isupper() else said[:1].lower() + said[1:]
