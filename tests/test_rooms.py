"""Who may import whom, checked from the imports."""

import ast
import functools
from pathlib import Path

import pytest
from there import there

ROOT = Path(__file__).parent.parent
GROUND = {"phenom_jax.sizes", "phenom_jax.hparams"}
ROOMS = ("tasks", "models", "optim", "measures", "theory", "laws")
HOUSE = ("sweep", "device", "store", "training", "claims", "report", "cli")
BELOW = {  # the rooms of the house that each room may enter
    "sweep": (),
    "device": ("sweep",),
    "store": ("sweep",),
    "training": ("sweep", "device", "store"),
    "claims": ("sweep", "store"),
    "report": ("sweep", "store", "claims"),
    "cli": HOUSE,
}
SHELL = (*(f"phenom_jax.{room}" for room in ("device", "training", "store", "report", "cli")), "launch")
IMPURE = {"time", "datetime", "os", "pathlib", "io", "shutil", "tempfile", "subprocess", "socket", "absl"}


@functools.cache
def modules():
    """Returns the path of every module of the project by its dotted name."""
    paths = [path for top in ("phenom_jax", "experiments", "launch") for path in (ROOT / top).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(name):
    """Returns the dotted names that a module imports, names of its own project down to the module."""
    found = set()
    for node in ast.walk(ast.parse(modules()[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {inner if inner in modules() else str(node.module) for inner in whole}
    return found


def inside(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def room(name, rooms):
    return next((room for room in rooms if inside(name, f"phenom_jax.{room}")), None)


def ours(name):
    return inside(name, "phenom_jax", "experiments", "launch")


@pytest.mark.parametrize("name", [name for name in modules() if room(name, ROOMS)])
def test_science_imports_the_ground_floor_and_its_own_room(name):
    own = f"phenom_jax.{room(name, ROOMS)}"
    assert {other for other in imports(name) if ours(other) and not inside(other, own)} <= GROUND


@pytest.mark.parametrize("name", sorted(GROUND & modules().keys()))
def test_the_ground_floor_imports_nothing_above(name):
    assert {other for other in imports(name) if ours(other)} <= GROUND


@pytest.mark.parametrize("name", [name for name in modules() if room(name, HOUSE)])
def test_the_house_imports_no_science(name):
    science = [f"phenom_jax.{other}" for other in ("tasks", "models")]
    assert not {other for other in imports(name) if inside(other, "experiments", "launch", *science)}


@pytest.mark.parametrize("name", [name for name in modules() if room(name, HOUSE)])
def test_a_room_enters_the_rooms_below_it(name):
    own = there(room(name, HOUSE))
    assert {entered for other in imports(name) if (entered := room(other, HOUSE))} <= {own, *BELOW[own]}


@pytest.mark.parametrize("name", [name for name in modules() if inside(name, "experiments")])
def test_experiments_stay_out_of_the_machine_room(name):
    rooms = [f"phenom_jax.{other}" for other in ("device", "training", "cli")]
    assert not {other for other in imports(name) if inside(other, *rooms)}


@pytest.mark.parametrize("name", [name for name in modules() if inside(name, "experiments")])
def test_experiments_do_not_import_each_other_or_launchers(name):
    own = ".".join(name.split(".")[:2])
    others = {other for other in imports(name) if inside(other, "experiments", "launch") and other != "experiments"}
    assert not {other for other in others if not inside(other, own)}


@pytest.mark.parametrize("name", [name for name in modules() if ours(name)])
def test_only_launchers_import_launchers(name):
    assert inside(name, "launch") or not {other for other in imports(name) if inside(other, "launch")}


@pytest.mark.parametrize(
    "name",
    [name for name in modules() if not inside(name, *SHELL)],
)
def test_only_the_shell_touches_clock_and_disk(name):
    assert not {other.split(".")[0] for other in imports(name)} & IMPURE


def test_runs_are_vmapped_in_one_place():
    """The run axis exists in device/program.py; elsewhere vmap is over examples, and experiments have none to add."""
    users = {name for name, path in modules().items() if "vmap" in path.read_text() and room(name, HOUSE)}
    assert {name for name in users if "jax.vmap" in modules()[name].read_text()} <= {"phenom_jax.device.program"}


def test_the_rules_see_the_project():
    assert {"phenom_jax.sizes", "phenom_jax.cli.main", "experiments", "launch.grokking"} <= modules().keys()
    assert "phenom_jax.hparams" in imports("phenom_jax.sweep.axes")
