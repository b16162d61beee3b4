import dataclasses
import html.parser
import json

import numpy as np
import pytest
from synthetic import Grok, make, with_steps

from phenom_jax.claims import Claim, Source, above
from phenom_jax.claims.runs import last
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import InvalidValue
from phenom_jax.laws.transition import first_crossing
from phenom_jax.report.marks import Curves, Figure, PhaseMap, Scale
from phenom_jax.report.report import write_report
from phenom_jax.store.config import Config
from phenom_jax.store.provenance import Environment
from phenom_jax.sweep.axes import Sweep
from phenom_jax.sweep.settings import Settings


def summarise(ds):
    return with_steps(ds, generalisation_step=first_crossing(ds.test_accuracy.values, ds.step.values, 0.95).step)


def accuracy(runs):
    """Test accuracy < 1 at the end, the mean of its runs."""
    return float(last(runs, "test_accuracy").mean())


def broken(runs):
    """Something that is nowhere."""
    return float(runs["nowhere"].mean())


CURVES = Curves({"test_accuracy": "-"}, Scale("accuracy"), colour="width", panel="weight_decay")
PHASES = PhaseMap("generalisation_step", "weight_decay", "width", "steps")
PAPER = Source("A <source>", "https://example.org/paper")


EXPERIMENT = Experiment(
    "grokking",
    Grok,
    init=summarise,
    step=None,
    measure=lambda state, hp: None,
    summarise=summarise,
    figures=(
        Figure(
            "accuracy",
            "Accuracy <over> training",
            "A caption & more",
            Curves({"test_accuracy": "-"}, Scale("accuracy"), colour="width"),
        ),
        Figure(
            "phases", "Phases", "When", PhaseMap("generalisation_step", "weight_decay", "width", "steps"), format="svg"
        ),
        Figure("nothing", "Nothing", "Not drawn", lambda ds: None),
        Figure("broken", "Broken figure", "Raises", lambda ds: ds["nowhere"].item()),
    ),
    claims=(
        Claim("It is so.", PAPER, accuracy, above(0.2), published="all & more"),
        Claim("It raises.", PAPER, broken, above(0)),
    ),
)
CONFIG = dataclasses.asdict(
    Config(
        experiment="grokking",
        command="python -m launch.grokking --seed=0:4 > '<x>'",
        sweep=Sweep({"seed": (0, 1, 2, 3)}),
        settings=Settings(),
        environment=Environment({"jax": "0.10.2"}, "abc123", False, "tpu", "TPU v9", 1),
        plan={"runs": 24, "programs": [{"id": "a", "runs": 12, "padded": {"width": 32}}, {"id": "b", "runs": 12}]},
        created="2026-11-01",
        started="2026-11-02",
    )
)


class Page(html.parser.HTMLParser):
    """The tags left open, the sources and links, and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.ids, self.links, self.words = [], [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.sources += [named["src"]] if "src" in named else []
        self.links += [named["href"]] if "href" in named else []
        self.ids |= {named["id"]} if "id" in named else set()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def directory(tmp_path, config=None, **options):
    tmp_path.mkdir(exist_ok=True)
    make(tmp_path / "results.zarr", **options)
    (tmp_path / "config.json").write_text(json.dumps(config or CONFIG))
    return tmp_path


def test_report_is_whole_and_self_contained(tmp_path):
    report = write_report(directory(tmp_path), EXPERIMENT)
    text = report.path.read_text()
    page = Page(text)
    words = " ".join(page.words)
    assert not page.open
    assert len(page.sources) == 3 and all(source.startswith("data:image/") for source in page.sources)
    links = [link for link in page.links if link != PAPER.link]
    assert all(link.startswith("#") and link[1:] in page.ids for link in links) and len(links) == 7
    assert (
        "http" not in text.replace("http://www.w3.org", "").replace(PAPER.link, "")
        and "@import" not in text
        and "<script" not in text
    )
    for expected in (
        "Accuracy <over> training", "A caption & more", "It is so.", "Test accuracy < 1 at the end",
        "lies above 0.2", "A <source>",
        "Published: all & more.", "What the units say", "KeyError: ",
        "could not be drawn: KeyError", "abc123", "TPU v9", "highest",
        "python -m launch.grokking --seed=0:4 > '<x>'", "width 32", "weight decay", "0, 0.3, 1",
    ):  # fmt: skip
        assert expected in words, expected
    assert "Nothing" not in words and "What follows is of" not in words
    assert [finding.verdict for finding in report.findings] == ["undecided", "error"]  # of 4 seeds
    assert "generalisation_step" in report.results


def test_files_beside_the_report(tmp_path):
    write_report(directory(tmp_path), EXPERIMENT)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "accuracy.png",
        "claims.png",
        "phases.svg",
    ]
    rows = json.loads((tmp_path / "claims.json").read_text())
    assert [row["verdict"] for row in rows] == ["undecided", "error"] and rows[1]["estimate"] is None
    assert rows[0]["low"] < rows[0]["estimate"] < rows[0]["high"] and rows[0]["units"] == 4
    assert (rows[0]["experiment"], rows[0]["commit"]) == ("grokking", "abc123")
    names = "experiment preset statement source published estimate low high units p_holm verdict command commit date"
    assert {*names.split(), "machine"} <= rows[0].keys()
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 25
    assert not list(tmp_path.rglob("*.new"))


def test_figures_that_these_results_do_not_have_go(tmp_path):
    (tmp_path / "figures").mkdir()
    for name in ("nothing.png", "broken.png", "mine.png"):
        (tmp_path / "figures" / name).write_bytes(b"of an earlier report")
    write_report(directory(tmp_path), EXPERIMENT)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "accuracy.png",
        "claims.png",
        "mine.png",
        "phases.svg",
    ]


def test_report_of_a_sweep_that_still_runs(tmp_path):
    def statuses(row, status):
        return {0: "diverged", 1: "running"}.get(row, "waiting" if row < 12 else status)

    report = write_report(directory(tmp_path, statuses=statuses), EXPERIMENT)
    words = " ".join(Page(report.path.read_text()).words)
    assert "What follows is of the 13 of 24 runs that are over." in words
    assert "1 runs diverged or failed" in words and "train_loss is nan" in words
    before = write_report(tmp_path, EXPERIMENT).path.read_bytes()
    assert write_report(tmp_path, EXPERIMENT).path.read_bytes() == before


def test_report_before_any_run_is_over(tmp_path):
    report = write_report(directory(tmp_path, statuses=lambda row, status: "waiting"), EXPERIMENT)
    assert "What follows is of the 0 of 24 runs" in report.path.read_text()


def test_report_of_one_run_and_of_many_cells(tmp_path):
    one = directory(tmp_path / "one", seed=(0,), weight_decay=(1.0,), width=(64,))
    assert not Page(write_report(one, EXPERIMENT).path.read_text()).open
    many = directory(tmp_path / "many", seed=(0,), weight_decay=np.linspace(0, 1, 201).tolist())
    text = write_report(many, EXPERIMENT).path.read_text()
    assert "The first 300 of 402 cells." in text and len(text) < 3_000_000


@pytest.mark.parametrize(
    "config, message",
    [
        (None, "is no run directory, allowed is the --out of a sweep"),
        ("{", "is not one that this version wrote"),
        ("[1]", "is not one that this version wrote"),
        (json.dumps(CONFIG | {"experiment": "parity"}), "is of 'parity', not of 'grokking'"),
        (json.dumps(CONFIG), "holds no results.zarr yet"),
    ],
)
def test_foreign_directories_are_refused_and_left_alone(tmp_path, config, message):
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InvalidValue, match=message) as caught:
        write_report(tmp_path, EXPERIMENT)
    assert "\n" not in str(caught.value) and sorted(tmp_path.iterdir()) == before


def test_a_missing_directory_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match="is no run directory"):
        write_report(tmp_path / "nowhere", EXPERIMENT)
