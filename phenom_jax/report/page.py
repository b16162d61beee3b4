"""The HTML of a report: one self-contained page, light or dark as the reader likes, from a phone to a wide screen."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from string import Template
from typing import NamedTuple

from phenom_jax.report.confirmed import Row
from phenom_jax.store.schema import JSON


class Section(NamedTuple):
    """A titled part of the page; `body` is HTML."""

    name: str
    title: str
    body: str


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Returns the whole page."""
    links = "".join(f'<a href="#{section.name}">{text(section.title)}</a>' for section in sections)
    bodies = "\n".join(
        f'<section id="{section.name}"><h2>{text(section.title)}</h2>\n{section.body}\n</section>'
        for section in sections
    )
    return _PAGE.substitute(title=text(title), subtitle=text(subtitle), links=links, sections=bodies, style=_STYLE)


def text(value: object) -> str:
    """Returns the value as HTML text."""
    return html.escape(str(value))


def sentence(words: str) -> str:
    """Returns the words with a capital first letter."""
    return words[:1].upper() + words[1:]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], name: str = "") -> str:
    """Returns a table of texts that scrolls sideways where it is too wide."""
    head = "".join(f"<th>{text(column)}</th>" for column in columns)
    body = "\n".join(f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="{name}"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
    )


def claim(row: Row) -> str:
    """Returns the item of a claim: verdict, statement, what the units say, rule, power and source."""
    link = f'<a href="{text(row["link"])}">{text(row["source"])}</a>' if row["link"] else text(row["source"])
    published = f" Published: {text(row['published'])}." if row["published"] else ""
    rule = text(" ".join(filter(None, (row["rule"], row["power"]))))
    return (
        f'<li><span class="verdict {row["verdict"].replace(" ", "-")}">{row["verdict"]}</span>'
        f'<div><p class="statement">{text(row["statement"])}</p><p class="statistic">{text(sentence(row["said"]))}</p>'
        f'<p class="source">{rule} {link}.{published}</p></div></li>'
    )


def figure(title: str, caption: str, image: bytes, format: str, inches: float) -> str:
    """Returns a figure with the image in the page, `inches` wide; on a narrow screen it scrolls before it gets tiny."""
    kind = "image/svg+xml" if format == "svg" else "image/png"
    source = f"data:{kind};base64,{base64.b64encode(image).decode()}"
    return (
        f'<figure><h3>{text(title)}</h3><div class="scroll plate"><img alt="{text(caption)}" src="{source}" '
        f'style="width:{100 * inches:.0f}px;min-width:{60 * inches:.0f}px"></div>'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def status_bar(counts: Mapping[str, int], meanings: Mapping[str, str]) -> str:
    """Returns how many runs have each status, as a bar and in words."""
    present = {status: counts[status] for status in meanings if counts.get(status)}
    bar = "".join(f'<i class="{status}" style="flex:{count}"></i>' for status, count in present.items())
    words = "".join(
        f'<span><i class="{status}"></i><b>{count}</b> {status} <small>{text(meanings[status])}</small></span>'
        for status, count in present.items()
    )
    return f'<div class="bar">{bar}</div><div class="statuses">{words}</div>'


def listing(value: JSON) -> str:
    """Returns JSON as nested tables: names with values, and a list of objects as one table."""
    if isinstance(value, Mapping):
        rows = "".join(
            f"<dt>{text(name.replace('_', ' '))}</dt><dd>{listing(item)}</dd>" for name, item in value.items()
        )
        return f"<dl>{rows}</dl>"
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        columns = list(dict.fromkeys(name for item in value if isinstance(item, Mapping) for name in item))
        rows = [[_inline(item.get(name, "")) for name in columns] for item in value if isinstance(item, Mapping)]
        return table([name.replace("_", " ") for name in columns], rows)
    return text(_inline(value))


def _inline(value: JSON) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_inline(item)}" for name, item in value.items())
    if isinstance(value, list):
        shown = [_inline(item) for item in value]
        return ", ".join(shown if len(shown) <= 24 else [*shown[:20], "…", *shown[-2:]])
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}" if value > 99_999 else str(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header><h1>$title</h1><p>$subtitle</p><nav>$links</nav></header>
<main>
$sections
</main>
</body>
</html>
""")

_STYLE = """
:root { --ink: #1d2129; --soft: #5b6472; --line: #dfe3e8; --ground: #ffffff; --raised: #f5f7f9; --accent: #1f5fbf;
  --holds: #1a7f4b; --fails: #b3261e; --undecided: #8a6100; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --soft: #a2abb8; --line: #343b45; --ground: #14171c;
  --raised: #1d2229; --accent: #86b4ff; --holds: #5fce95; --fails: #ff8a80; --undecided: #e3b04b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
header, main { max-width: 1120px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 36px; }
h1 { font-size: clamp(28px, 5vw, 42px); line-height: 1.15; margin: 0; letter-spacing: -0.02em; }
header p { color: var(--soft); font-size: 18px; margin: 8px 0 16px; max-width: 75ch; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; padding-bottom: 14px; border-bottom: 1px solid var(--line); }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
section { padding: 20px 0 8px; }
h2 { font-size: 23px; margin: 0 0 12px; letter-spacing: -0.01em; }
h3 { font-size: 18px; margin: 0 0 8px; }
ul.claims { list-style: none; margin: 0; padding: 0; border: 1px solid var(--line); border-radius: 10px; }
ul.claims li { display: grid; grid-template-columns: 112px 1fr; gap: 12px; padding: 14px 16px; }
ul.claims li + li { border-top: 1px solid var(--line); }
ul.claims p { margin: 0; }
.statement { font-weight: 600; }
.verdict { align-self: start; text-align: center; border-radius: 99px; padding: 1px 10px; font-size: 14px;
  font-weight: 650; border: 1.5px solid currentColor; }
.holds { color: var(--holds); } .fails { color: var(--fails); } .undecided { color: var(--undecided); }
.not-tested { color: var(--soft); } .error { color: var(--fails); }
ul.claims .statistic { margin: 2px 0 4px; font-variant-numeric: tabular-nums; }
.source, figcaption, small, .hint { color: var(--soft); font-size: 14px; }
figure { margin: 0 0 34px; }
figcaption { max-width: 90ch; margin-top: 8px; }
.scroll { overflow-x: auto; }
.plate { background: #ffffff; border: 1px solid var(--line); border-radius: 10px; padding: 12px; }
.plate img { display: block; margin: 0 auto; max-width: 100%; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 16px 5px 0; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; white-space: normal; min-width: 5em; }
dl { display: grid; grid-template-columns: minmax(110px, max-content) minmax(0, 1fr); gap: 4px 20px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px;
  overflow-x: auto; font-size: 14px; }
.bar { display: flex; height: 12px; border-radius: 99px; overflow: hidden; gap: 2px; }
.statuses { display: flex; flex-wrap: wrap; gap: 4px 24px; margin-top: 8px; }
.statuses i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 6px; }
i.waiting { background: #b9c0ca; } i.running { background: #3f90da; } i.finished { background: #2f7d5b; }
i.done { background: #58b88a; } i.diverged { background: #e0912f; } i.failed { background: #c0392b; }
@media (max-width: 560px) { ul.claims li { grid-template-columns: 1fr; gap: 6px; } .verdict { justify-self: start; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: 8px; }
  header, main { padding-inline: 14px; } }
@media print { nav { display: none; } section { break-inside: avoid; } }
"""
