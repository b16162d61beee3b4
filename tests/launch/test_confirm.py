"""The confirmed table: made of rows alone, true to the rules of today, and resumed row by row."""

import json

import numpy as np
import pytest
import xarray as xr

from launch import confirm
from launch.confirm import FIRST_SEED, Job
from phenom_jax.claims import Claim, Source, above, below
from phenom_jax.claims.lift import decide_all
from phenom_jax.report.confirmed import Origin, entries, results_md, row, scoreboard


def effect(runs):
    """Effect, the mean of its runs."""
    return float(runs["effect"].mean())


CLAIMS = (
    Claim("It rises.", Source("A. Nobody 2020", "https://example.org"), effect, above(0), published="0.5"),
    Claim("It falls.", Source("B. Nobody 2021"), effect, below(0), presets=("", "other")),
)
FLAGS = {"seed": "0:8"}


def rows_of(job):
    results = xr.Dataset(
        {"effect": ("run", np.linspace(0.9, 1.1, 8))},
        {"seed": ("run", np.arange(8)), "status": ("run", ["finished"] * 8)},
    )
    origin = Origin("toy", job.preset, job.flags, "python -m launch.toy", "abcdef012345", "2026-01-01", "a machine")
    return [row(finding, origin) for finding in decide_all(job.claims, results, strict=True)]


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Returns the two jobs of an experiment whose table lies in a folder of the test's own."""
    for name, path in (("RESULTS", "results.json"), ("PAGE", "RESULTS.md"), ("README", "README.md")):
        monkeypatch.setattr(confirm, name, tmp_path / path)
    (tmp_path / "README.md").write_text(
        "# It\n<!-- scoreboard: made -->\noutdated\n<!-- end of the scoreboard -->\nrest\n"
    )
    jobs = [Job("toy", "", CLAIMS, FLAGS, ["launch.toy"]), Job("toy", "other", CLAIMS[1:], FLAGS, ["launch.toy"])]
    monkeypatch.setattr(confirm, "jobs", lambda: jobs)

    def train(words):
        out = next(word.removeprefix("--out=") for word in words if word.startswith("--out="))
        job = next(job for job in jobs if out.endswith(job.name.replace("/", "-")))
        trained.append(job.name)
        (tmp_path / job.name.replace("/", "-")).mkdir(exist_ok=True)
        (tmp_path / job.name.replace("/", "-") / "claims.json").write_text(json.dumps(rows_of(job)))
        return failing.pop() if failing else 0

    trained, failing = [], []
    monkeypatch.setattr(confirm.subprocess, "call", lambda words: train(words[2:]))
    return jobs, trained, failing


def run(tmp_path, *arguments):
    return confirm.main([*arguments, f"--out={tmp_path}"])


def test_rows_are_published_and_not_made_again(tmp_path, published):
    jobs, trained, _ = published
    assert run(tmp_path) == 0 and trained == ["toy", "toy/other"]
    rows = json.loads((tmp_path / "results.json").read_text())
    assert [(each["preset"], each["verdict"]) for each in rows] == [("", "holds"), ("", "fails"), ("other", "fails")]
    page = (tmp_path / "RESULTS.md").read_text()
    assert "Confirmed: 2 fails, 1 holds." in page and "[A. Nobody 2020](https://example.org)" in page
    assert "commit abcdef01" in page and "explored only" not in page
    assert page == results_md(confirm.table(jobs, rows))
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("# It\n") and readme.endswith("rest\n") and "outdated" not in readme
    assert readme.index("**fails**") < readme.index("| holds |")
    assert run(tmp_path) == 0 and len(trained) == 2
    assert run(tmp_path, "toy/other", "--again") == 0 and trained[2:] == ["toy/other"]


def test_what_is_not_confirmed_is_explored_only(tmp_path, published):
    _, trained, failing = published
    failing += [75]
    assert run(tmp_path) == 1 and trained == ["toy", "toy/other"]
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| toy | default | It rises. | explored only |" in page
    failing += [75]
    assert run(tmp_path, "toy") == 1  # stopped once more: what is confirmed stays
    assert "| toy | default | It rises. | explored only |" in (tmp_path / "RESULTS.md").read_text()
    assert run(tmp_path) == 0 and trained == ["toy", "toy/other", "toy", "toy"]


def test_a_rule_that_changed_confirms_nothing(published, tmp_path):
    jobs, _, _ = published
    rows = rows_of(jobs[0])
    moved = [CLAIMS[0], Claim(CLAIMS[1].statement, CLAIMS[1].source, effect, below(0.5))]
    found = entries([("toy", "", FLAGS, claim) for claim in moved], rows)
    assert [entry.changed for entry in found] == [True, False]  # failing ones first
    page = results_md(found)
    assert "its rule changed after it was confirmed" in page and "| It falls." not in page.split("## Not confirmed")[0]
    assert "It falls." not in scoreboard(found)
    longer = entries([("toy", "", FLAGS | {"steps": "9"}, claim) for claim in CLAIMS], rows)
    assert all(entry.changed for entry in longer)


def test_an_unknown_name_is_refused_in_one_line(published, tmp_path, capsys):
    assert run(tmp_path, "grokkin") == 2
    assert capsys.readouterr().err == "NAME: grokkin, allowed are toy, toy/other\n"


def test_confirming_seeds_are_used_nowhere_else():
    for job in confirm.jobs():
        assert any(f"={FIRST_SEED}:" in word for word in job.arguments), job.name
        for name, text in job.flags.items():
            assert "seed" not in name or f"{FIRST_SEED}" not in text


def test_every_claim_is_tested_by_some_preset_that_exists():
    tested = {(job.experiment, claim.statement, preset) for job in confirm.jobs() for claim in job.claims
              for preset in claim.presets}  # fmt: skip
    listed = {(job.experiment, claim.statement, job.preset) for job in confirm.jobs() for claim in job.claims}
    assert tested == listed


def test_the_published_page_and_scoreboard_are_those_of_the_rows_and_the_rules():
    """If a rule or preset changed on purpose: run `python -m launch.confirm NAME`, or publish it as not confirmed."""
    found = confirm.table(confirm.jobs(), confirm.read())
    assert confirm.PAGE.read_text() == results_md(found)
    assert confirm.with_scoreboard(confirm.README.read_text(), found) == confirm.README.read_text()
    names = "experiment preset statement source published estimate low high units p_holm verdict command commit date"
    assert all({*names.split(), "machine"} <= each.keys() for each in confirm.read())
