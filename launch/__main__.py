"""Lists what there is to launch.

python -m launch
"""

import ast
import contextlib
import pkgutil
from pathlib import Path

import launch

ROOT = Path(__file__).parent.parent
PLACES = ("experiments/{}/science.py", "experiments/{}.py", "launch/{}/__main__.py", "launch/{}.py")


def main() -> None:
    """Prints the name of every launcher and a sentence about it, of its experiment where it has one."""
    lines = []
    for module in pkgutil.iter_modules(launch.__path__):
        if module.name != "__main__":
            path = next(path for place in PLACES if (path := ROOT / place.format(module.name)).exists())
            said = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
            lines += [f"python -m launch.{module.name}", f"    {' '.join(said.split())}"]
    with contextlib.suppress(BrokenPipeError):  # of `python -m launch | head`
        print("\n".join([*lines, "", "--help of each lists its flags and presets."]), flush=True)


if __name__ == "__main__":
    main()
