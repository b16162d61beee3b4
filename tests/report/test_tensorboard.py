import collections

import numpy as np
import pytest
from synthetic import make
from tensorboardX.proto.event_pb2 import Event  # type: ignore[attr-defined]

from phenom_jax.hparams import InvalidValue
from phenom_jax.report.tensorboard import write_tensorboard


def scalars(folder):
    """Returns {tag: {step: value}} of the event files right in a folder, parsed from the record framing."""
    found = collections.defaultdict(dict)
    for path in folder.glob("events.*"):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + length])
            data = data[12 + length + 4 :]
            for value in event.summary.value:
                found[value.tag][event.step] = value.simple_value
    return dict(found)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    ds = make(tmp_path_factory.mktemp("board") / "r", statuses=lambda row, s: "diverged" if row == 23 else s)
    return ds.isel(step=slice(0, None, 6))


def test_quantiles_counts_hparams_and_one_run(results, tmp_path):
    run_id = str(results.run_id.values[5])
    for _ in range(2):
        write_tensorboard(tmp_path / "tensorboard", results, [run_id])
    folder = tmp_path / "tensorboard"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tensorboard"]
    assert len([path for path in folder.iterdir() if "=" in path.name]) == 6
    chosen = results.isel(run=((results.weight_decay == 1) & (results.width == 128)).values)
    for name, percent in {"10 %": 10, "median": 50, "90 %": 90}.items():
        written = scalars(folder / "weight_decay=1,width=128" / name)
        for step, column in zip(chosen.step.values, chosen.test_accuracy.values.T, strict=True):
            alive = column[np.isfinite(column)]
            if len(alive):
                assert written["test_accuracy"][step] == pytest.approx(np.percentile(alive, percent), rel=1e-6)
            else:
                assert step not in written["test_accuracy"]
    counted = scalars(folder / "weight_decay=1,width=128" / "median")
    assert list(counted["runs/done"].values()) == [3] and list(counted["runs/diverged"].values()) == [1]
    single = scalars(folder / "runs" / run_id)
    measured = results.train_loss.values[5]
    assert list(single["train_loss"].values()) == pytest.approx(measured[np.isfinite(measured)].tolist(), rel=1e-6)
    assert sum(path.is_dir() for path in (folder / "hparams").iterdir()) == 24
    last = scalars(folder / "hparams" / run_id)
    assert list(last["last/train_loss"].values()) == pytest.approx([measured[np.isfinite(measured)][-1]], rel=1e-6)


def test_programs_where_the_results_say_them(results, tmp_path):
    labels = np.where(results.width.values == 32, "narrow", "wide")
    write_tensorboard(tmp_path / "board", results.assign_coords(program=("run", labels)))
    groups = {path.name for path in (tmp_path / "board").iterdir()}
    assert groups == {"program narrow", "program wide", "hparams"}


def test_many_cells_are_summed_up_together(tmp_path):
    ds = make(tmp_path / "r", seed=(0,), weight_decay=np.linspace(0, 1, 51).tolist(), width=(64,))
    write_tensorboard(tmp_path / "board", ds.isel(step=slice(0, None, 20)))
    assert {path.name for path in (tmp_path / "board").iterdir()} == {"all", "hparams"}


def test_an_unknown_run_changes_nothing(results, tmp_path):
    (tmp_path / "board").mkdir()
    with pytest.raises(InvalidValue, match="tensorboard_runs: no run abc"):
        write_tensorboard(tmp_path / "board", results, ["abc"])
    assert list(tmp_path.iterdir()) == [tmp_path / "board"]


def test_hparams_are_those_that_vary(results, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "tensorboardX.SummaryWriter.add_hparams", lambda self, values, *_, **__: seen.append(set(values))
    )
    write_tensorboard(tmp_path / "board", results)
    assert all(names == {"seed", "weight_decay", "width", "status"} for names in seen) and len(seen) == 24
