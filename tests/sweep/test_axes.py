"""Flag texts become axes, axes become runs."""

import itertools
import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenom_jax.hparams import InvalidValue, fields, hparams, size, static, swept
from phenom_jax.sizes import Size
from phenom_jax.sweep.axes import make_sweep, nearest, parse_sweep, varying
from phenom_jax.sweep.grammar import parse_axis


@hparams
class Toy:
    seed: int = swept(0, "initial weights")
    rate: float = swept(1, "step size", above=0, at_most=1e6)
    decay: float = swept(0.0, "weight decay")
    width: Size = size(16, "units")
    share: Size = size(0.5, "share that trains", of=lambda hp: hp.modulus**2)
    modulus: int = static(7, "prime", at_least=2)
    activation: Literal["relu", "gelu"] = static("relu", "of the units")
    note: str = static("plain", "free text")
    biases: bool = static(False, "whether layers have biases")

    def check(self):
        if self.modulus == 9 and self.activation == "gelu":
            raise InvalidValue("modulus: 9 does not go with gelu")


def axis(name, text):
    return parse_axis(fields(Toy)[name], text)


@pytest.mark.parametrize(
    "name, text, values",
    [
        ("seed", "3", (3,)),
        ("seed", "1e3", (1000,)),
        ("seed", "0:4", (0, 1, 2, 3)),
        ("seed", "4:10:3, 0:2", (4, 7, 0, 1)),
        ("seed", "-2:1", (-2, -1, 0)),
        ("rate", "1,0.3", (1.0, 0.3)),
        ("rate", "log:1e-4:1e-1:4", (1e-4, 1e-3, 1e-2, 1e-1)),
        ("rate", "lin:0.1:0.5:5,2", (0.1, 0.2, 0.3, 0.4, 0.5, 2.0)),
        ("rate", "log:1:10:1", (1.0,)),
        ("width", "32,64", (32, 64)),
        ("width", "log:1:8:4", (1, 2, 4, 8)),
        ("width", "lin:1:3:9", (1, 2, 3)),
        ("share", "0.25,.5", (0.25, 0.5)),
        ("modulus", "3:6", (3, 4, 5)),
        ("activation", "gelu,relu", ("gelu", "relu")),
        ("biases", "False,true", (False, True)),
        ("note", "a:b,log:1:2:3", ("a:b", "log:1:2:3")),
    ],
)
def test_a_text_names_its_values(name, text, values):
    assert axis(name, text) == values
    assert all(type(value) is fields(Toy)[name].type for value in axis(name, text))


@pytest.mark.parametrize(
    "name, text",
    [
        ("seed", ""),
        ("seed", "1,"),
        ("seed", "x"),
        ("seed", "1.5"),
        ("seed", "nan"),
        ("seed", "4:4"),
        ("seed", "9:3"),
        ("seed", "9:3:-1"),
        ("seed", "0:2,9:3"),
        ("seed", "0:4:0"),
        ("seed", "0:4:1:1"),
        ("seed", "0:x"),
        ("seed", ":4"),
        ("seed", "5000000000"),
        ("seed", "0:4,2"),
        ("seed", "0:100000000000"),
        ("rate", "fast"),
        ("rate", "nan"),
        ("rate", "1,inf"),
        ("rate", "0"),
        ("rate", "0:4"),
        ("rate", "1,1.0"),
        ("rate", "log:0:1:3"),
        ("rate", "log:-1:1:3"),
        ("rate", "log:1:1e-3:3"),
        ("rate", "log:1e-3:1:0"),
        ("rate", "log:1e-3:1:2.5"),
        ("rate", "log:1e-3:1:1000000000"),
        ("rate", "log:1e-3:1"),
        ("rate", "lin:1:nan:3"),
        ("rate", "lin:-inf:1:3"),
        ("rate", "lin:1:2:3:4"),
        ("decay", "0,-0"),
        ("width", "0"),
        ("width", "8.0"),
        ("width", "-4,8"),
        ("share", "0"),
        ("share", "1"),
        ("share", "1.5"),
        ("activation", "silu"),
        ("activation", "relu,"),
        ("biases", "maybe"),
        ("biases", "1"),
        ("note", ""),
        ("modulus", "1"),
    ],
)
def test_a_bad_text_is_refused_in_one_line_that_names_the_flag(name, text):
    with pytest.raises(InvalidValue) as refused:
        parse_sweep(Toy, {name: text})
    assert str(refused.value).startswith(f"{name}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "texts, zips, said",
    [
        ({"sed": "1"}, [], "sed: no such hyperparameter, did you mean seed?"),
        ({"seed": "0:3", "rate": "1,2"}, ["seed,rate"], "seed has 3, rate has 2"),
        ({"seed": "0:3", "rate": "1,2,3"}, ["seed,rte"], "did you mean rate?"),
        ({"seed": "0:3"}, ["seed"], "two or more"),
        ({"seed": "0:3", "rate": "1,2,3", "decay": "1,2,3"}, ["seed,rate", "rate,decay"], "rate is zipped twice"),
        ({"seed": "0,0", "rate": "1,1"}, ["seed,rate"], "seed,rate: (0, 1.0) is given twice"),
        ({"modulus": "7,9", "activation": "relu,gelu"}, [], "9 does not go with gelu"),
        ({"seed": "0:2000", "width": "1:2000"}, [], "runs, allowed are at most 1000000"),
    ],
)
def test_axes_that_do_not_go_together_are_refused(texts, zips, said):
    with pytest.raises(InvalidValue, match=said.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?")):
        parse_sweep(Toy, texts, zips)


def test_a_value_of_the_wrong_type_is_refused_from_python_too():
    for axes in ({"seed": [1.0]}, {"seed": [True]}, {"rate": ["1"]}, {"biases": [1]}, {"seed": []}):
        with pytest.raises(InvalidValue):
            make_sweep(Toy, axes)


def test_a_run_holds_every_hyperparameter_in_order_and_in_its_own_type():
    (run,) = parse_sweep(Toy, {"width": "8"}).runs()
    assert list(run.values) == list(fields(Toy))
    assert run.values["width"] == 8
    assert type(run.values["rate"]) is float  # its default was written 1


def test_a_run_is_the_same_run_however_it_is_written():
    written = ["1", "1.0", "1e0", "lin:1:2:2"]
    assert len({parse_sweep(Toy, {"rate": text}).runs()[0].id for text in written}) == 1
    assert parse_sweep(Toy, {"rate": "1"}).runs()[0].id == parse_sweep(Toy, {}).runs()[0].id
    assert parse_sweep(Toy, {"decay": "-0"}).runs()[0].id == parse_sweep(Toy, {"decay": "0"}).runs()[0].id


def test_the_id_of_a_run_does_not_change_between_versions():
    (run,) = parse_sweep(Toy, {"seed": "3", "rate": "0.1"}).runs()
    assert run.id == "ddc65f6c4c59b43d", "results of earlier versions are found by this id"


def test_zipped_axes_advance_together_and_may_repeat_values():
    runs = parse_sweep(Toy, {"width": "4,4,8", "rate": "1,2,2", "seed": "0:2"}, ["width,rate"]).runs()
    found = [(run.values["seed"], run.values["width"], run.values["rate"]) for run in runs]
    assert found == [(seed, *pair) for seed in (0, 1) for pair in ((4, 1.0), (4, 2.0), (8, 2.0))]


def test_varying_names_the_axes():
    assert varying(parse_sweep(Toy, {"width": "4,8", "rate": "2", "seed": "0:2"})) == ("seed", "width")


def test_ten_thousand_runs_are_all_different():
    sweep = parse_sweep(Toy, {"seed": "0:2000", "width": "1:6"})
    assert len({run.id for run in sweep.runs()}) == len(sweep) == 10_000


seeds = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=6, unique=True)
rates = st.lists(st.floats(1e-9, 1e6), min_size=1, max_size=6, unique=True)
decays = st.lists(st.floats(-1e9, 1e9).map(lambda x: x + 0.0), min_size=1, max_size=6, unique=True)


@given(seeds, rates, decays)
def test_values_written_out_are_read_back(seed, rate, decay):
    texts = {"seed": seed, "rate": rate, "decay": decay}
    sweep = parse_sweep(Toy, {name: ",".join(map(repr, values)) for name, values in texts.items()})
    assert {name: list(sweep.axes[name]) for name in texts} == texts


@given(seeds, rates, decays)
def test_a_product_holds_every_combination_once(seed, rate, decay):
    sweep = make_sweep(Toy, {"seed": seed, "rate": rate, "decay": decay})
    runs = sweep.runs()
    found = [(run.values["seed"], run.values["rate"], run.values["decay"]) for run in runs]
    assert found == list(itertools.product(seed, rate, decay))
    assert len({run.id for run in runs}) == len(runs) == len(sweep)


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(1e-3, 1)), min_size=1, max_size=8, unique=True), decays)
def test_a_zip_holds_its_pairs_times_the_rest(pairs, decay):
    seed, rate = zip(*pairs)
    sweep = make_sweep(Toy, {"seed": seed, "rate": rate, "decay": decay}, [("seed", "rate")])
    found = [(run.values["seed"], run.values["rate"], run.values["decay"]) for run in sweep.runs()]
    assert found == [(*pair, value) for pair in pairs for value in decay]
    assert len(sweep) == len(pairs) * len(decay)


additions = st.lists(
    st.dictionaries(st.sampled_from(["seed", "rate", "width"]), st.just(()), min_size=1).flatmap(
        lambda names: st.fixed_dictionaries(
            {
                name: st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True).map(
                    lambda values, of=float if name == "rate" else int: tuple(map(of, values))
                )
                for name in names
            }
        )
    ),
    max_size=3,
)


@given(seeds, rates, additions)
def test_what_is_added_joins_the_product_once(seed, rate, added):
    axes = {"seed": seed, "rate": rate}
    sweep = make_sweep(Toy, axes, [], added)
    product = make_sweep(Toy, axes).runs()
    direct = [run for more in added for run in make_sweep(Toy, axes | more).runs()]
    ids = [run.id for run in sweep.runs()]
    assert set(ids) == {run.id for run in [*product, *direct]}
    assert len(set(ids)) == len(ids) == len(sweep)
    assert ids[: len(product)] == [run.id for run in product]
    texts = [" ".join(f"{name}={','.join(map(repr, values))}" for name, values in more.items()) for more in added]
    written = parse_sweep(Toy, {name: ",".join(map(repr, values)) for name, values in axes.items()}, [], texts)
    assert [run.id for run in written.runs()] == ids


def test_what_is_added_leaves_its_zip_and_the_rest_of_it_stays_together():
    texts = {"width": "4,4,8", "rate": "1,2,2", "decay": "0,1,2"}
    sweep = parse_sweep(Toy, texts, ["width,rate,decay"], ["decay=7 seed=0:2", "width=16 rate=3"])
    found = [(run.values["seed"], run.values["width"], run.values["rate"], run.values["decay"]) for run in sweep.runs()]
    zipped = [(4, 1.0), (4, 2.0), (8, 2.0)]
    assert found[:3] == [(0, *pair, decay) for pair, decay in zip(zipped, (0.0, 1.0, 2.0))]
    assert found[3:9] == [(seed, *pair, 7.0) for seed in (0, 1) for pair in zipped]
    assert found[9:] == [(0, 16, 3.0, decay) for decay in (0.0, 1.0, 2.0)]
    assert varying(sweep) == ("seed", "rate", "decay", "width")


@pytest.mark.parametrize(
    "text, said",
    [
        ("wdth=4", "add: wdth: no such hyperparameter, did you mean width?"),
        ("width=0", "add: width: 0 is not at least 1"),
        ("width=4,4", "add: width: 4 is given twice, allowed is once"),
        ("width=x", "add: width: 'x' is not an integer at least 1"),
        ("width=4 width=8", "add: 'width=4 width=8', allowed is NAME=AXIS NAME=AXIS ..., each name once"),
        ("width", "add: 'width', allowed is NAME=AXIS"),
        ("", "add: '', allowed is NAME=AXIS"),
        ("modulus=9 activation=gelu", "add: modulus: 9 does not go with gelu"),
    ],
)
def test_a_bad_addition_is_refused_in_one_line(text, said):
    with pytest.raises(InvalidValue) as refused:
        parse_sweep(Toy, {}, [], [text])
    assert str(refused.value).startswith(said) and "\n" not in str(refused.value)


def test_added_runs_count_towards_the_most():
    with pytest.raises(InvalidValue, match="1000002 runs, allowed are at most 1000000"):
        parse_sweep(Toy, {"seed": "0:1000", "width": "1:1000"}, [], ["seed=0:1001 width=1", "rate=2 seed=5 width=7"])


@given(st.integers(-1000, 1000), st.integers(1, 50), st.integers(1, 9))
def test_an_integer_range_is_pythons(low, length, step):
    assert axis("seed", f"{low}:{low + length}:{step}") == tuple(range(low, low + length, step))


@given(st.floats(1e-6, 1), st.floats(1.5, 1e4), st.integers(2, 20))
def test_log_values_have_one_ratio_and_include_the_ends(low, factor, count):
    values = axis("rate", f"log:{low!r}:{low * factor!r}:{count}")
    assert len(values) == count
    assert values[0] == pytest.approx(low, rel=1e-11)
    assert values[-1] == pytest.approx(low * factor, rel=1e-11)
    ratios = [math.log(after / before) for before, after in itertools.pairwise(map(float, values))]
    assert ratios == pytest.approx([math.log(factor) / (count - 1)] * (count - 1), rel=1e-6)


@given(st.text(max_size=20), st.sampled_from(["seed", "rate", "width", "share", "activation", "biases"]))
def test_any_text_is_read_or_refused(text, name):
    try:
        refusal = ""
        parse_sweep(Toy, {name: text})
    except InvalidValue as error:
        refusal = str(error)
    assert not refusal or (refusal.startswith(f"{name}: ") and "\n" not in refusal)


def test_the_nearest_name_is_suggested_only_if_it_is_near():
    assert nearest("wieght", ["weight", "width"]) == ", did you mean weight?"
    assert nearest("qqq", ["weight", "width"]) == ""
