import pkgutil

import launch
from launch.__main__ import main


def test_every_launcher_is_listed_with_what_it_is_about(capsys):
    main()
    listed = capsys.readouterr().out.splitlines()
    for name in {module.name for module in pkgutil.iter_modules(launch.__path__)} - {"__main__"}:
        said = listed[listed.index(f"python -m launch.{name}") + 1]
        assert said.startswith("    ") and said.endswith((".", ")."))
    assert "grokk" in listed[listed.index("python -m launch.grokking") + 1].lower()
