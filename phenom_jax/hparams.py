"""Hyperparameters: one frozen dataclass per experiment, with three kinds of field visible in the definition.

    @hparams
    class Grokking:
        seed: int = swept(0, "initial weights")                       # traced: may differ between lanes
        width: Size = size(128, "hidden units per layer")             # active count traced, padded bound static
        activation: Literal["relu", "gelu"] = static("relu", "...")   # compiled in: differs only between programs

A size may be given as a share of a whole: `size(0.5, "...", of=number_of_pairs)` makes `Size(round(0.5 * whole))`.
Hyperparameters are pytrees whose leaves are the swept values and the active counts.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.sizes import Size

Value = int | float | str | bool
Kind = Literal["swept", "size", "static"]
T = TypeVar("T")


class InvalidValue(ValueError):
    """A hyperparameter has a value that is not allowed; the message names the field, the value and what is allowed."""


@dataclasses.dataclass(frozen=True)
class Field:
    """What a hyperparameter's definition says of it."""

    name: str
    kind: Kind
    type: type
    default: Value
    help: str
    bounds: Bounds
    choices: tuple[Value, ...] = ()
    of: Callable[[Any], int] | None = None

    def validate(self, value: Value) -> None:
        """Raises InvalidValue unless `value` is allowed here."""
        if self.choices:
            if value not in self.choices:
                raise InvalidValue(f"{self.name}: {value!r} is not one of {', '.join(map(str, self.choices))}")
            return
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise InvalidValue(f"{self.name}: {value} is not a finite number")
            if not self.bounds.contain(value):
                raise InvalidValue(f"{self.name}: {value} is not {self.bounds}")


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The numbers allowed: `at_least <= value <= at_most` and `above < value < below`."""

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None

    def contain(self, value: float) -> bool:
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        named = {"at least": self.at_least, "at most": self.at_most, "above": self.above, "below": self.below}
        return " and ".join(f"{word} {bound:g}" for word, bound in named.items() if bound is not None)


def swept(default: Value, help: str, **bounds: float) -> Any:
    """A number that is traced: runs of one program may differ in it."""
    return _field("swept", default, help, bounds)


def size(default: int | float, help: str, of: Callable[[Any], int] | None = None, **bounds: float) -> Any:
    """A `Size`: a count, or with `of` a share of the whole that `of(hp)` computes from the static fields."""
    limits = bounds or ({"above": 0, "below": 1} if of else {"at_least": 1})
    return _field("size", default, help, limits, of=of)


def static(default: Value, help: str, **bounds: float) -> Any:
    """A value that is compiled in: it decides shapes and code, and differs only between programs."""
    return _field("static", default, help, bounds)


def started() -> Any:
    """What a run begins with, of no flag: given to `build`, None without; see `phenom_jax.source`."""
    return dataclasses.field(default=None, metadata={"kind": "start"})


@dataclass_transform(frozen_default=True, kw_only_default=True)  # without specifiers, what is assigned is a default
def hparams(cls: type[T]) -> type[T]:
    """Makes `cls` a frozen keyword-only dataclass and a pytree of its swept values and active sizes.

    A plain number given for a size becomes a `Size` that is its own padded bound. A class may define `check(self)`,
    which raises InvalidValue for values that do not go together, and `unused(self)`, which returns the names of the
    fields that have no effect, each with the setting (`batching=full`) that makes it so.

    Raises:
      TypeError: a field is declared by none of swept, size and static, or there is no `seed`.
    """
    for name in inspect.get_annotations(cls):
        if not isinstance(cls.__dict__.get(name), dataclasses.Field):
            raise TypeError(f"{cls.__name__}.{name}: declare it with swept(...), size(...) or static(...)")
    cls.__post_init__ = _counts_become_sizes  # type: ignore[attr-defined]
    made = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    declared = fields(made)
    if "seed" not in declared:
        raise TypeError(f"{cls.__name__}: declare `seed: int = swept(0, ...)`, the engine draws from it")
    statics = [field.name for field in declared.values() if field.kind == "static"]
    traced = [name for name in inspect.signature(made).parameters if name not in statics]
    return jax.tree_util.register_dataclass(made, data_fields=traced, meta_fields=statics)


@functools.cache
def fields(cls: type) -> Mapping[str, Field]:
    """Returns the declared hyperparameters by name, in the order of their definition."""
    hints = typing.get_type_hints(cls)
    return {
        item.name: Field(
            name=item.name,
            type=_value_type(hints[item.name], typing.cast(Value, item.default)),
            default=typing.cast(Value, item.default),
            choices=typing.get_args(hints[item.name]) if typing.get_origin(hints[item.name]) is Literal else (),
            **item.metadata,
        )
        for item in dataclasses.fields(cls)
        if item.metadata["kind"] != "start"
    }


def build(cls: type[T], values: Mapping[str, Value], start: Any = None) -> T:
    """Returns the hyperparameters of one run after every check, sizes unpadded.

    Args:
      start: of a class that has one.
    Raises:
      InvalidValue: a value is outside its bounds or choices, or the class's `check` refuses the combination.
    """
    for name, field in fields(cls).items():
        if name in values:
            field.validate(values[name])
    hp = cls(**values, **({} if start is None else {"start": start}))
    check = getattr(hp, "check", None)
    if check is not None:
        check()
    return hp


def stack_hps(hps: Sequence[Any]) -> Any:
    """Returns one hyperparameter pytree whose leaves are arrays over runs: numbers of JAX's own int and float.

    In float64 an int32 would not do: JAX takes its square root, and its inverse, in float32. Arrays, which a start has,
    stay what they are.
    """
    whole, real = jnp.result_type(int), jnp.result_type(float)

    def stack(*values: Any) -> np.ndarray:
        array = np.asarray(values)
        if isinstance(values[0], np.ndarray):
            return array
        return array.astype(real if array.dtype.kind == "f" else whole)

    return jax.tree.map(stack, *hps)


def hp_shapes(template: Any) -> Any:
    """Returns the shapes and dtypes that one run's hyperparameters have inside the program."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), stack_hps([template]))


def _field(kind: Kind, default: Value, help: str, bounds: Mapping[str, float], **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"kind": kind, "help": help, "bounds": Bounds(**bounds), **more})


def _value_type(hint: Any, default: Value) -> type:
    return type(default) if hint is Size or typing.get_origin(hint) is Literal else hint


def _counts_become_sizes(self: Any) -> None:
    for item in dataclasses.fields(self):
        value = getattr(self, item.name)
        if item.metadata["kind"] == "size" and isinstance(value, (int, float)):
            whole = item.metadata["of"]
            count: Any = value if whole is None else max(1, round(value * whole(self)))
            object.__setattr__(self, item.name, Size(count, count))
