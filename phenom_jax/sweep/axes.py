"""Sweep axes: named values, product by default, zipped where asked; and the runs they make.

The text of a flag is one value or an axis, items separated by commas:

    0.3             a value of the field's type                32,64,128     several
    0:16  0:16:2    integers, the upper end left out           log:1e-4:1e-1:7  lin:0:1:5  n values, both ends included

Values have the field's own type whatever the text was, so that 1 and 1.0 name the same run of a float field.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from phenom_jax.hparams import Field, InvalidValue, Value, build, fields

MOST_RUNS = 1_000_000
BOOLEANS = {"true": True, "false": False}
SPACINGS = {"log": np.geomspace, "lin": np.linspace}
RANGES = "lin:lo:hi:n or log:lo:hi:n"
TYPE_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "a word"}


@dataclasses.dataclass(frozen=True)
class Run:
    """One point of a sweep: the value of every hyperparameter, by name, in the order of their definition."""

    values: Mapping[str, Value]

    @functools.cached_property
    def id(self) -> str:
        """A hash of the hyperparameters: the same run in any sweep."""
        return hashlib.sha256(json.dumps(dict(self.values), sort_keys=True).encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Axes and what they zip; made by `make_sweep` or `parse_sweep`, which check them.

    Attributes:
      axes: the values of every hyperparameter in the order of their definition, one value where it does not vary.
      zips: groups of names that advance together; everything else is a product.
    """

    axes: Mapping[str, tuple[Value, ...]]
    zips: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return math.prod(len(points) for _, points in self._factors())

    def runs(self) -> list[Run]:
        """Returns every run, the last-defined axis varying fastest."""
        names, factors = zip(*self._factors())
        order = list(itertools.chain.from_iterable(names))
        flat = (dict(zip(order, itertools.chain.from_iterable(point))) for point in itertools.product(*factors))
        return [Run({name: values[name] for name in self.axes}) for values in flat]

    def _factors(self) -> list[tuple[tuple[str, ...], list[tuple[Value, ...]]]]:
        """Returns the factors of the product: names, and the points those names take together."""
        group_of = {name: group for group in self.zips for name in group}
        groups = dict.fromkeys(group_of.get(name, (name,)) for name in self.axes)
        return [(group, list(zip(*(self.axes[name] for name in group), strict=True))) for group in groups]


def parse_sweep(hparams: type, texts: Mapping[str, str], zips: Sequence[str] = ()) -> Sweep:
    """Returns the sweep that flag texts ask for; hyperparameters without a text keep their default.

    Args:
      hparams: an `@hparams` class.
      texts: by hyperparameter, in the grammar of this module.
      zips: each the comma-separated names of axes that advance together.
    Raises:
      InvalidValue: see `parse_axis` and `make_sweep`.
    """
    declared = fields(hparams)
    _know(texts, declared)
    groups = [tuple(name.strip() for name in text.split(",")) for text in zips]
    return make_sweep(hparams, {name: parse_axis(declared[name], text) for name, text in texts.items()}, groups)


def make_sweep(hparams: type, axes: Mapping[str, Sequence[Value]], zips: Sequence[Sequence[str]] = ()) -> Sweep:
    """Returns the sweep over these values; hyperparameters that are not named keep their default.

    Raises:
      InvalidValue: a name that is no hyperparameter; an empty axis; a value that is repeated, of the wrong type or out
        of bounds; a zip of unequal lengths, of one name or of a name zipped elsewhere; a combination that the
        hyperparameters' `check` refuses; more than a million runs.
    """
    declared = fields(hparams)
    _know(axes, declared)
    complete = {name: _checked(field, axes.get(name, (field.default,))) for name, field in declared.items()}
    sweep = Sweep(complete, tuple(tuple(group) for group in zips))
    _check_zips(sweep)
    _check_repeats(sweep)
    if len(sweep) > MOST_RUNS:
        raise InvalidValue(f"{', '.join(varying(sweep))}: {len(sweep)} runs, allowed are at most {MOST_RUNS}")
    for run in sweep.runs() if hasattr(hparams, "check") else ():
        build(hparams, run.values)
    return sweep


def varying(sweep: Sweep) -> tuple[str, ...]:
    """Returns the names of the hyperparameters that take more than one value."""
    return tuple(name for name, values in sweep.axes.items() if len(set(values)) > 1)


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns `, did you mean ...?` with the known name most like `name`, or nothing where none is like it."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f", did you mean {close[0]}?" if close else ""


def allowed(field: Field) -> str:
    """Returns in words what the field allows."""
    if field.choices:
        return "one of " + ", ".join(map(str, field.choices))
    bounds = f" {field.bounds}" if str(field.bounds) else ""
    return TYPE_WORDS[field.type] + bounds


def parse_axis(field: Field, text: str) -> tuple[Value, ...]:
    """Returns the values that one flag's text asks for, in the order written.

    Raises:
      InvalidValue: an empty item, a value of the wrong type, a range or spacing that is reversed, empty or not of
        numbers; bounds are left to `make_sweep`.
    """
    items = [item.strip() for item in text.split(",")]
    return tuple(itertools.chain.from_iterable(_parse_item(field, item) for item in items))


def _parse_item(field: Field, item: str) -> Iterable[Value]:
    if field.type is str:
        return [_word(field, item)]
    head, *parts = item.split(":")
    if head in SPACINGS and field.type in (int, float):
        return _spacing(field, item, head, parts)
    if parts and field.type is int:
        return _integer_range(field, item)
    return [_value(field, item)]


def _word(field: Field, item: str) -> str:
    if not item:
        raise InvalidValue(f"{field.name}: an empty value, allowed is {allowed(field)}")
    return item


def _value(field: Field, item: str) -> Value:
    try:
        if field.type is bool:
            return BOOLEANS[item.lower()]
        if field.type is int:
            return _integer(item)
        return float(item)
    except (KeyError, ValueError):
        spaced = f"; n values from lo to hi are {RANGES}" if ":" in item and field.type is float else ""
        raise InvalidValue(f"{field.name}: {item!r} is not {allowed(field)}{spaced}") from None


def _integer(text: str) -> int:
    """Returns the integer that `text` writes, as digits or like 1e4."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer() or "e" not in text.lower():
            raise
        return int(number)


def _integer_range(field: Field, item: str) -> Sequence[int]:
    try:
        values = range(*map(_integer, item.split(":")))
    except (TypeError, ValueError):
        values = range(0)
    if not values or values.step < 0 or values[MOST_RUNS:]:
        shape = f"lo:hi or lo:hi:step with lo < hi, step > 0 and at most {MOST_RUNS} values, nor {RANGES}"
        raise InvalidValue(f"{field.name}: {item!r} is not an integer range {shape}")
    return values


def _spacing(field: Field, item: str, kind: str, parts: Sequence[str]) -> Iterable[Value]:
    ends = "0 < lo < hi" if kind == "log" else "lo < hi"
    wrong = InvalidValue(f"{field.name}: {item!r} is not {kind}:lo:hi:n with {ends} and 1 <= n <= {MOST_RUNS}")
    try:
        low, high, count = float(parts[0]), float(parts[1]), _integer(parts[2])
    except (IndexError, ValueError):
        raise wrong from None
    if len(parts) != 3 or not -math.inf < low < high < math.inf or not 1 <= count <= MOST_RUNS:
        raise wrong
    if kind == "log" and low <= 0:
        raise wrong
    values = SPACINGS[kind](low, high, count).tolist()
    if field.type is int:
        return dict.fromkeys(round(value) for value in values)
    return [_shortest(value) for value in values]


def _shortest(value: float) -> float:
    """Rounds to 12 digits, so that the middle of log:1e-4:1e-2:3 is the run that 1e-3 names."""
    return float(f"{value:.12g}")


def _checked(field: Field, values: Sequence[Value]) -> tuple[Value, ...]:
    """Returns the values in the field's own type, each validated."""
    if not values:
        raise InvalidValue(f"{field.name}: an axis without values, allowed is {allowed(field)}")
    canonical = tuple(_canonical(field, value) for value in values)
    for value in canonical:
        field.validate(value)
    return canonical


def _canonical(field: Field, value: Value) -> Value:
    if field.type is float and type(value) in (int, float):
        return float(value) + 0.0  # -0.0 and 0.0 are one run
    if type(value) is not field.type:
        raise InvalidValue(f"{field.name}: {value!r} is not {allowed(field)}")
    if isinstance(value, int) and not -(2**31) <= value < 2**31:
        raise InvalidValue(f"{field.name}: {value} is not an integer of 32 bits")
    return value


def _know(names: Iterable[str], declared: Mapping[str, Field]) -> None:
    for name in names:
        if name not in declared:
            raise InvalidValue(f"{name}: no such hyperparameter{nearest(name, declared)}")


def _check_zips(sweep: Sweep) -> None:
    zipped: set[str] = set()
    for group in sweep.zips:
        shown = f"zip: {','.join(group)!r}"
        for name in group:
            if name not in sweep.axes:
                raise InvalidValue(f"{shown}: {name!r} is no hyperparameter{nearest(name, sweep.axes)}")
            if name in zipped:
                raise InvalidValue(f"{shown}: {name} is zipped twice, allowed is once")
            zipped.add(name)
        if len(group) < 2:
            raise InvalidValue(f"{shown}: one axis alone, allowed are two or more")
        lengths = {name: len(sweep.axes[name]) for name in group}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise InvalidValue(f"{shown}: zipped axes must be of equal length, but {counts}")


def _check_repeats(sweep: Sweep) -> None:
    for names, points in sweep._factors():
        seen: set[tuple[Value, ...]] = set()
        for point in points:
            if point in seen:
                shown = point[0] if len(point) == 1 else point
                raise InvalidValue(f"{','.join(names)}: {shown} is given twice, allowed is once")
            seen.add(point)
