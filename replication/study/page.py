"""One readable page that needs nothing else: headings, paragraphs, tables, figures."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replication.analysis.outcome import Figure

__all__ = ["figure_svg", "page", "table"]

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #8888; }
td { overflow-wrap: anywhere; } code { font-size: .9em; } svg { max-width: 100%; height: auto; }
.error { border-left: 4px solid #c0392b; } .warning { border-left: 4px solid #b9770e; }
""".strip()


def page(title: str, parts: Iterable[str], *, figures: bool = False) -> str:
    """The whole page; `parts` are finished markup."""
    style = _STYLE + (_figure_style() if figures else "")
    head = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{head}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{style}</style></head>\n'
        f"<body>\n<main>\n<h1>{head}</h1>\n{chr(10).join(parts)}\n</main>\n</body>\n</html>\n"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """A table of text; `kind` is the class of its rows."""
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in header)
    opening = f'<tr class="{kind}">' if kind else "<tr>"
    body = "\n".join(opening + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody></table>"


def figure_svg(figure: Figure) -> str:
    """A figure as the report draws it, with its text alternative."""
    from replication.analysis.outcome import plain
    from replication.report.figures import draw, read_figure
    from replication.report.words import load_words

    stored = plain(figure)
    assert isinstance(stored, dict)
    drawing = draw(read_figure(stored), load_words("en"), lambda _name: "")
    if drawing.wide is None:
        return f"<p>{html.escape(drawing.missing)}</p>"
    return drawing.wide.markup(drawing.alt, inline=True)


def _figure_style() -> str:
    return resources.files("replication.report").joinpath("assets", "figures.css").read_text(encoding="utf-8")
