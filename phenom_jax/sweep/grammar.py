"""The grammar of an axis: the values that the text of a flag asks for.

The text of a flag is one value or an axis, items separated by commas:

    0.3             a value of the field's type                32,64,128     several
    0:16  0:16:2    integers, the upper end left out           log:1e-4:1e-1:7  lin:0:1:5  n values, both ends included
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from phenom_jax.hparams import Field, InvalidValue, Value

MOST_RUNS = 1_000_000
BOOLEANS = {"true": True, "false": False}
SPACINGS = {"log": np.geomspace, "lin": np.linspace}
RANGES = "lin:lo:hi:n or log:lo:hi:n"
TYPE_WORDS = {int: "an integer", float: "a number", bool: "true or false", str: "a word"}


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


def allowed(field: Field) -> str:
    """Returns in words what the field allows."""
    if field.choices:
        return "one of " + ", ".join(map(str, field.choices))
    bounds = f" {field.bounds}" if str(field.bounds) else ""
    return TYPE_WORDS[field.type] + bounds
