"""The code of an experiment: what decides what its runs are, told apart by module, wherever it is written.

The functions of the science are followed from definition to definition, through the modules that lie beside them and
the library's parts. So a claim, a figure or `summarise` counts for nothing, even in the same file, and of a syntax tree
neither comments and docstrings nor annotations, quotes and trailing commas, nor what the version of Python is.
"""

from __future__ import annotations

import ast
import collections
import dataclasses
import dis
import functools
import hashlib
import importlib.machinery
import importlib.util
import inspect
import json
import sys
import types
from collections.abc import Iterator, Mapping
from importlib.abc import InspectLoader
from pathlib import Path

from phenom_jax.experiment import Experiment
from phenom_jax.fingerprint import decisive

Code = Mapping[str, str]  # a digest per module

SCIENCE = ("hparams", "init", "step", "measure", "expensive", "done", "keep")  # of an Experiment
HOUSE = ("experiment", "hparams", "sweep", "device", "training", "store", "claims", "report", "cli", "api")
HOUSE += ("testing", "fingerprint")  # of phenom_jax: what carries a science and is none of it
DECLARE = ("swept", "size", "static")
READS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
SITE = ("site-packages", "dist-packages")
LENGTH = 12  # of a digest


def code_of(experiment: Experiment) -> Code:
    """Returns the digest of each module that has a part in what the experiment's runs are."""
    science = [item for name in SCIENCE if (item := getattr(experiment, name)) is not None]
    if experiment.source:  # the model of what it has kept, and the loss around it
        source = experiment.source.experiment
        science += [source.hparams, source.init, source.keep]
        science += vars(source.landscape).values() if source.landscape else ()
    trace = _Trace({home(item) for item in science})
    for item in science:
        trace.value(item)
    return {name: _digest("\n".join(sorted(texts))) for name, texts in sorted(trace.found.items())}


def digest(code: Code) -> str:
    """Returns what names a code; nothing where none is known."""
    return _digest(json.dumps(sorted(code.items()))) if code else ""


def changed(before: Code, now: Code) -> list[str]:
    """Returns the modules in which two codes differ."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


class _Trace:
    """The definitions that were reached.

    Attributes:
      found: by module, the text of each.
    """

    def __init__(self, roots: set[str]):
        self.found: dict[str, set[str]] = collections.defaultdict(set)
        self._tops = {"phenom_jax", *(name.partition(".")[0] for name in roots)}
        self._folders = {folder for top in self._tops if (folder := _folder(top)) and folder.name not in SITE}
        self._seen: dict[int, object] = {}
        self._modules: dict[str, _Module | None] = {}

    def value(self, value: object) -> None:
        """Follows a function or class, and those that a partial, a method's owner or a container holds."""
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value  # held, for an id is unique among the living
        value = inspect.unwrap(value) if callable(value) else value
        if isinstance(value, functools.partial):
            self.value(value.func)
            self._given(home(value), {**dict(enumerate(value.args)), **value.keywords})
        elif isinstance(value, types.MethodType):
            self.value(value.__func__)
            self.value(value.__self__)
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, type):
            self._name(value.__module__, value.__qualname__.partition(".")[0])
        elif dataclasses.is_dataclass(value):
            self.value(type(value))
            self.value([getattr(value, field.name) for field in dataclasses.fields(value)])
        elif isinstance(value, Mapping | tuple | list):
            for item in value.values() if isinstance(value, Mapping) else value:
                self.value(item)

    def _given(self, module: str, values: Mapping[object, object]) -> None:
        """Notes the constants that a function was given beforehand, and follows the functions among them."""
        for name, value in values.items():
            if value is None or isinstance(value, str | int | float):
                self.found[called(module)].add(f"{name}={value!r}")
            elif isinstance(value, Mapping | tuple | list):
                items = value.items() if isinstance(value, Mapping) else enumerate(value)
                self._given(module, {f"{name}.{key}": item for key, item in items})
            else:
                self.value(value)

    def _function(self, function: types.FunctionType) -> None:
        module = self._module(function.__module__)
        if module is None:
            return
        name = function.__qualname__.partition(".")[0]
        for node in module.bound.get(name) or module.at(function.__code__.co_firstlineno):
            self._follow(module, node)
        if not module.bound:
            self.found[module.name].add(_shown(function))
        cells = zip(function.__code__.co_freevars, function.__closure__ or ())
        self._given(function.__module__, {name: cell.cell_contents for name, cell in cells})

    def _name(self, name: str, of: str = "") -> None:
        """Follows what a module binds to a name, or all of it."""
        module = self._module(name)
        if module is not None:
            for bound in [of] if of else list(module.bound):
                for node in module.bound.get(bound, ()):
                    self._follow(module, node)

    def _follow(self, module: _Module, node: ast.AST) -> None:
        text = _canonical(node)
        if text in self.found[module.name]:
            return
        self.found[module.name].add(text)
        for name in _read_names(node):
            for binding in module.bound.get(name, ()):
                self._follow(module, binding)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import):
                for alias in inner.names:
                    self._name(alias.name)
            elif isinstance(inner, ast.ImportFrom):
                source = module.absolute(inner)
                for alias in inner.names:
                    held = self._module(source)
                    if held and alias.name in held.bound:
                        self._name(source, alias.name)
                    else:
                        self._name(f"{source}.{alias.name}")

    def _module(self, name: str) -> _Module | None:
        """Returns a module that counts, None for one of the house or of another library."""
        top, _, inside = name.partition(".")
        if top == "phenom_jax" and inside.partition(".")[0] in HOUSE:
            return None
        if name not in self._modules:
            ours = top in self._tops or _folder(top) in self._folders
            self._modules[name] = _read(name) if ours else None
        return self._modules[name]


class _Module:
    """A module's top-level statements, bare, by the names that they bind."""

    def __init__(self, name: str, source: str, package: str):
        self.name, self._package = name, package
        self.bound: dict[str, list[ast.AST]] = collections.defaultdict(list)
        self._tree = _Bare().visit(ast.parse(source))
        for statement in self._tree.body:
            for part in _single(statement):
                for bound in _bound_names(part):
                    self.bound[bound].append(part)

    def at(self, line: int) -> Iterator[ast.AST]:
        """Yields the functions that begin in a line."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef):
                decorators = getattr(node, "decorator_list", [])
                if line == min(each.lineno for each in (node, *decorators)):
                    yield node

    def absolute(self, node: ast.ImportFrom) -> str:
        """Returns the module that an import names."""
        relative = "." * node.level + (node.module or "")
        return importlib.util.resolve_name(relative, self._package) if node.level else relative


class _Bare(ast.NodeTransformer):
    """Takes out of a syntax tree what decides nothing."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if getattr(node, "body", None) == []:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(0)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in DECLARE:
            node.args = []  # of a hyperparameter the sweep has every value, and the rest is its help
        return self.generic_visit(node)


def home(value: object) -> str:
    """Returns the module of a function, or of what a partial is of."""
    while isinstance(value, functools.partial):
        value = value.func
    return inspect.unwrap(value).__module__ if callable(value) else type(value).__module__


def called(name: str) -> str:
    """Returns what a module is called, also where it is the program."""
    file = getattr(sys.modules.get(name), "__file__", None)
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return spec.name if spec else Path(file).stem if file else name


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # no such module, or the program itself
        return None


def _folder(top: str) -> Path | None:
    """Returns where a top-level module or package lies."""
    spec = _spec(top)
    places = list(spec.submodule_search_locations or ()) if spec else []
    file = spec.origin if spec else getattr(sys.modules.get(top), "__file__", None)
    return Path(places[0]).parent if places else Path(file).parent if file else None


def _read(name: str) -> _Module | None:
    """Returns a module, with no statements where it has no source; None where there is no such module."""
    spec = _spec(name)
    if spec is None:
        file = getattr(sys.modules.get(name), "__file__", None)
        known = name in sys.modules
        return _Module(called(name), Path(file).read_text() if file else "", "") if known else None
    source = spec.loader.get_source(spec.name) if isinstance(spec.loader, InspectLoader) else ""
    inside = spec.submodule_search_locations is not None
    return _Module(spec.name, source or "", spec.name if inside else spec.parent or "")


def _shown(function: types.FunctionType) -> str:
    """Returns the code of a function that is in no file: a notebook's."""
    try:
        return decisive(function)
    except (OSError, TypeError):
        return function.__qualname__


def _single(statement: ast.stmt) -> list[ast.stmt]:
    """Returns the statement, or one per name that it imports."""
    if isinstance(statement, ast.Import):
        return [ast.Import([alias]) for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        return [ast.ImportFrom(statement.module, [alias], statement.level) for alias in statement.names]
    return [statement]


def _bound_names(statement: ast.stmt) -> set[str]:
    """Returns the names that a statement binds; one that binds none belongs to those that it reads."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    bound, read = set(), set()
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
    return bound or read


def _read_names(node: ast.AST) -> set[str]:
    """Returns the names of its module that a statement or function reads."""
    statement = ast.Expr(node) if isinstance(node, ast.expr) else node
    module = ast.fix_missing_locations(ast.Module([statement], []))  # type: ignore[list-item]
    return set(_global_names(compile(module, "", "exec", dont_inherit=True)))


def _global_names(code: types.CodeType) -> Iterator[str]:
    yield from (each.argval for each in dis.get_instructions(code) if each.opname in READS)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _global_names(inner)


def _canonical(node: object) -> str:
    """Returns a syntax tree as text, the same for every version of Python: fields that hold nothing are left out."""
    if isinstance(node, list):
        return f"[{','.join(map(_canonical, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    held = [(name, value) for name, value in ast.iter_fields(node) if name != "ctx" and value not in (None, [])]
    return f"{type(node).__name__}({','.join(f'{name}={_canonical(value)}' for name, value in held)})"
