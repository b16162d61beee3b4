"""Hyperparameters: three kinds of field, checks, and the pytree they make."""

from __future__ import annotations

from typing import Literal

import jax
import pytest

from phenom_jax.hparams import InvalidValue, build, fields, hparams, size, static, swept
from phenom_jax.sizes import Size


@hparams
class Example:
    seed: int = swept(0, "seed")
    rate: float = swept(0.1, "step size", above=0, at_most=10)
    width: Size = size(8, "units")
    share: Size = size(0.5, "share of the whole", of=lambda hp: hp.whole)
    whole: int = static(10, "the whole", at_least=2)
    kind: Literal["round", "square"] = static("round", "shape")
    wide: bool = static(False, "switch")

    def check(self) -> None:
        if self.kind == "square" and self.whole % 2:
            raise InvalidValue(f"whole: {self.whole} is odd, which kind=square does not allow")


def test_leaves_are_the_swept_values_and_active_counts():
    assert jax.tree.leaves(Example(seed=3, width=Size(4, 16))) == [3, 0.1, 4, 5]


def test_statics_and_bounds_decide_the_structure():
    structure = jax.tree.structure
    assert structure(Example(rate=1.0, seed=2)) == structure(Example())
    assert structure(build(Example, {"width": 4})) != structure(Example(width=Size(4, 8)))
    assert structure(Example(whole=12)) != structure(Example())


def test_a_count_becomes_a_size_and_a_share_is_rounded_of_its_whole():
    hp = build(Example, {"width": 5, "share": 0.26, "whole": 30})
    assert hp.width == Size(5, 5) and hp.share == Size(8, 8)


def test_fields_say_kind_type_choices_and_help():
    declared = fields(Example)
    assert [field.kind for field in declared.values()] == ["swept"] * 2 + ["size"] * 2 + ["static"] * 3
    assert [field.type for field in declared.values()] == [int, float, int, float, int, str, bool]
    assert declared["kind"].choices == ("round", "square") and declared["rate"].help == "step size"


@pytest.mark.parametrize(
    "values, message",
    [
        ({"rate": 0.0}, "rate: 0.0 is not at most 10 and above 0"),
        ({"rate": float("nan")}, "rate: nan is not a finite number"),
        ({"rate": 11.0}, "rate: 11.0 is not"),
        ({"width": 0}, "width: 0 is not at least 1"),
        ({"share": 1.0}, "share: 1.0 is not above 0 and below 1"),
        ({"kind": "oval"}, "kind: 'oval' is not one of round, square"),
        ({"kind": "square", "whole": 11}, "whole: 11 is odd"),
    ],
)
def test_values_that_are_not_allowed_are_named(values, message):
    with pytest.raises(InvalidValue) as caught:
        build(Example, values)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_a_field_of_no_kind_is_refused():
    with pytest.raises(TypeError, match=r"Loose.rate: declare it with"):

        @hparams
        class Loose:
            seed: int = swept(0, "seed")
            rate: float = 0.1


def test_a_class_without_a_seed_is_refused():
    with pytest.raises(TypeError, match="declare `seed"):

        @hparams
        class Seedless:
            rate: float = swept(0.1, "rate")
