"""Sweep axes: named values, product by default, zipped where asked, with runs added beside; and the runs they make.

Values have the field's own type whatever the text was, so that 1 and 1.0 name the same run of a float field.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from phenom_jax.hparams import Field, InvalidValue, Value, build, fields
from phenom_jax.sweep.grammar import MOST_RUNS, allowed, parse_axis


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
      added: axes that each, in the place of its own, make more runs of the others; zipped with nothing.
    """

    axes: Mapping[str, tuple[Value, ...]]
    zips: tuple[tuple[str, ...], ...] = ()
    added: tuple[Mapping[str, tuple[Value, ...]], ...] = ()

    def __len__(self) -> int:
        return len(self.runs()) if self.added else math.prod(len(points) for _, points in self._factors())

    def runs(self) -> list[Run]:
        """Returns every run once, the last-defined axis varying fastest; those that are added come last."""
        if not self.added:
            return self._product()
        return list({run.id: run for part in self.parts() for run in part._product()}.values())

    def parts(self) -> list[Sweep]:
        """Returns the product, and one for each of those added; they may have runs in common."""
        rest = [tuple(tuple(name for name in group if name not in axes) for group in self.zips) for axes in self.added]
        more = [Sweep({**self.axes, **axes}, tuple(filter(None, zips))) for axes, zips in zip(self.added, rest)]
        return [Sweep(self.axes, self.zips), *more]

    def _product(self) -> list[Run]:
        names, factors = zip(*self._factors())
        order = list(itertools.chain.from_iterable(names))
        flat = (dict(zip(order, itertools.chain.from_iterable(point))) for point in itertools.product(*factors))
        return [Run({name: values[name] for name in self.axes}) for values in flat]

    def _factors(self) -> list[tuple[tuple[str, ...], list[tuple[Value, ...]]]]:
        """Returns the factors of the product: names, and the points those names take together."""
        group_of = {name: group for group in self.zips for name in group}
        groups = dict.fromkeys(group_of.get(name, (name,)) for name in self.axes)
        return [(group, list(zip(*(self.axes[name] for name in group), strict=True))) for group in groups]


def parse_sweep(hparams: type, texts: Mapping[str, str], zips: Sequence[str] = (), added: Sequence[str] = ()) -> Sweep:
    """Returns the sweep that flag texts ask for; hyperparameters without a text keep their default.

    Args:
      hparams: an `@hparams` class.
      texts: by hyperparameter, in the grammar of this module.
      zips: each the comma-separated names of axes that advance together.
      added: each `name=axis name=axis ...`, runs beside the product with these in the place of its axes.
    Raises:
      InvalidValue: see `parse_axis` and `make_sweep`.
    """
    declared = fields(hparams)
    _know(texts, declared)
    groups = [tuple(name.strip() for name in text.split(",")) for text in zips]
    axes = {name: parse_axis(declared[name], text) for name, text in texts.items()}
    return make_sweep(hparams, axes, groups, [_addition(text, declared) for text in added])


def make_sweep(
    hparams: type,
    axes: Mapping[str, Sequence[Value]],
    zips: Sequence[Sequence[str]] = (),
    added: Sequence[Mapping[str, Sequence[Value]]] = (),
) -> Sweep:
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
    with _named_add():
        for more in added:
            _know(more, declared)
            more = Sweep({name: _checked(declared[name], values) for name, values in more.items()})
            _check_repeats(more)
            sweep = dataclasses.replace(sweep, added=(*sweep.added, more.axes))
    if (count := sum(map(len, sweep.parts()))) > MOST_RUNS:
        raise InvalidValue(f"{', '.join(varying(sweep))}: {count} runs, allowed are at most {MOST_RUNS}")
    for number, part in enumerate(sweep.parts() if hasattr(hparams, "check") else ()):
        with _named_add() if number else contextlib.nullcontext():
            for run in part.runs():
                build(hparams, run.values)
    return sweep


def _addition(text: str, declared: Mapping[str, Field]) -> dict[str, tuple[Value, ...]]:
    """Returns the axes that one text of `added` names."""
    axes = {}
    with _named_add():
        for word in text.split() or [text]:
            name, equals, values = word.partition("=")
            if not equals or name in axes:
                raise InvalidValue(f"{text!r}, allowed is NAME=AXIS NAME=AXIS ..., each name once")
            _know([name], declared)
            axes[name] = parse_axis(declared[name], values)
    return axes


@contextlib.contextmanager
def _named_add() -> Iterator[None]:
    """Says of a value that is refused in here that it is one of `add`."""
    try:
        yield
    except InvalidValue as error:
        raise InvalidValue(f"add: {error}") from None


def varying(sweep: Sweep) -> tuple[str, ...]:
    """Returns the names of the hyperparameters that take more than one value."""
    taken = {
        name: set(values).union(*(more.get(name, ()) for more in sweep.added)) for name, values in sweep.axes.items()
    }
    return tuple(name for name, values in taken.items() if len(values) > 1)


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns `, did you mean ...?` with the known name most like `name`, or nothing where none is like it."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f", did you mean {close[0]}?" if close else ""


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
