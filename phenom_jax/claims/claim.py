"""The Claim: a statement, its source, a number of one unit, and the rule that was fixed before the number was seen."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import io
import json
import tokenize
import types
from collections.abc import Callable, Mapping
from typing import Literal

import xarray as xr

from phenom_jax.claims.rules import Rule

OfOneUnit = Callable[[xr.Dataset], "float | bool | Mapping[str, float]"]
Scale = Literal["natural", "log", "share", "rank", "exact"]

LEAST = 5  # units below which nothing is decided
CENTRES: dict[Scale, str] = {
    "natural": "mean",
    "log": "geometric mean",
    "share": "share",
    "rank": "median",
    "exact": "range",
}
HOW: dict[Scale, str] = {
    "natural": "Student's t",
    "log": "Student's t of the logarithms",
    "share": "Clopper-Pearson",
    "rank": "order statistics",
    "exact": "no sampling error",
}


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
      about: `(results) -> bool[run]`, which of the runs that are over the claim is about; its docstring says so.
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
    of_one_unit: OfOneUnit
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
        for name in ("of_one_unit", "about"):
            if (function := getattr(self, name)) and not _said(function):
                raise ValueError(f"{name}: of {self.statement!r} has no docstring that says what it is")

    @property
    def quantity(self) -> str:
        """What the number is, from the docstring."""
        return _said(self.of_one_unit)

    @property
    def ruled(self) -> str:
        """The rule in words."""
        centre = f"{CENTRES[self.scale]} over {self.unit}s" if self.scale != "exact" else "number of every unit"
        opposite = "outside" if self.rule.low > float("-inf") and self.rule.high < float("inf") else "on the other side"
        about = f" About {_said(self.about)}." if self.about else ""
        return (
            f"Holds if the 95 % interval ({HOW[self.scale]}) of the {centre} lies {self.rule}, fails if it lies "
            f"{opposite}; fewer than {self.least} {self.unit}s decide nothing.{about}"
        )

    def fingerprint(self, flags: Mapping[str, str]) -> str:
        """Returns a hash of all that decides a verdict beside the data: rule, statistic, and the preset's flags."""
        functions = [_source(function, set()) for function in (self.of_one_unit, self.about) if function]
        decided = [self.statement, self.rule.low, self.rule.high, self.scale, self.unit, self.least, dict(flags)]
        return hashlib.sha256(json.dumps([decided, functions], sort_keys=True).encode()).hexdigest()[:12]


def _said(function: Callable) -> str:
    """Returns the first sentence of a docstring as it reads in a sentence, its {names} filled in from a partial."""
    keywords = function.keywords if isinstance(function, functools.partial) else {}
    whole = inspect.getdoc(function.func if isinstance(function, functools.partial) else function) or ""
    said = whole.split("\n\n")[0].replace("\n", " ").removesuffix(".").format(**keywords)
    return said[:1].lower() + said[1:] if said[1:2].islower() or said[1:2] == " " else said


def _source(value: object, seen: set[str]) -> str:
    """Returns the code of a function of an experiment and of those it names there, without comments or docstrings."""
    if isinstance(value, functools.partial):
        keywords = {name: _source(item, seen) for name, item in value.keywords.items()}
        return f"{_source(value.func, seen)}({value.args}, {keywords})"
    if not isinstance(value, types.FunctionType):
        return repr(value)
    if not value.__module__.startswith(("experiments.", "launch.", "test")) or value.__qualname__ in seen:
        return value.__qualname__
    seen.add(value.__qualname__)
    named = {name: value.__globals__[name] for name in sorted(_names(value.__code__)) if name in value.__globals__}
    parts = [_bare(inspect.getsource(value))]
    for name, item in named.items():
        if isinstance(item, types.FunctionType | functools.partial):
            parts.append(_source(item, seen))
        elif isinstance(item, str | int | float | bool | tuple):
            parts.append(f"{name}={item!r}")
    return "\n".join(parts)


def _names(code: types.CodeType) -> set[str]:
    """Returns the global names in a function and in those inside it."""
    inner = [_names(each) for each in code.co_consts if isinstance(each, types.CodeType)]
    return set(code.co_names).union(*inner)


def _bare(source: str) -> str:
    """Returns the tokens of a source that decide what it does, in a row."""
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(inspect.cleandoc(source)).readline)]
    kept, statement_starts = [], True
    for token in tokens:
        if not (token.type == tokenize.STRING and statement_starts) and token.type not in layout:
            kept.append(token.string)
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            statement_starts = token.type in layout
    return " ".join("".join(kept).split())
