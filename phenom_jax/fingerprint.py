"""The fingerprint of code: what decides what a function does, without comments, docstrings and layout."""

from __future__ import annotations

import functools
import inspect
import tokenize
import types
from collections.abc import Callable

CONSTANTS = str | int | float | bool | tuple | frozenset


def decisive(function: Callable) -> str:
    """Returns the code of a function, or a partial of one, and of all that it names in its top-level package.

    Functions of other packages and everything that is neither a function nor a constant count by their name.
    """
    plain = function.func if isinstance(function, functools.partial) else function
    return _follow(function, plain.__module__.split(".")[0], set())


def bare(source: str) -> str:
    """Returns the tokens of a Python source that decide what it does."""
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    kept, starts = [], True
    lines = iter(inspect.cleandoc(source).splitlines(keepends=True))
    for token in tokenize.generate_tokens(lambda: next(lines, "")):
        if token.type not in layout and not (token.type == tokenize.STRING and starts):
            kept.append(token.string)
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            starts = token.type in layout
    return "".join("".join(kept).split())


def _follow(value: object, inside: str, seen: set[str]) -> str:
    if isinstance(value, functools.partial):
        keywords = {name: _follow(item, inside, seen) for name, item in value.keywords.items()}
        return f"{_follow(value.func, inside, seen)}{value.args}{keywords}"
    if not isinstance(value, types.FunctionType):
        return repr(value)
    if value.__qualname__ in seen or value.__module__.split(".")[0] != inside:
        return value.__qualname__
    seen.add(value.__qualname__)
    named = {name: value.__globals__.get(name) for name in sorted(_names(value.__code__))}
    parts = [bare(inspect.getsource(value))]
    for name, item in named.items():
        if isinstance(item, types.FunctionType | functools.partial):
            parts.append(_follow(item, inside, seen))
        elif isinstance(item, CONSTANTS):
            parts.append(f"{name}={item!r}")
    return "\n".join(parts)


def _names(code: types.CodeType) -> set[str]:
    """Returns the global names in a function and in those inside it."""
    inner = [_names(each) for each in code.co_consts if isinstance(each, types.CodeType)]
    return set(code.co_names).union(*inner)
