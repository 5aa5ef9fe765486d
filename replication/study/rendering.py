"""What a check found, on the terminal, as a page to attach to a pull request, and as JSON. The words are the same."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from replication.dataset import Problem
from replication.dataset.problems import SHOWN, printable
from replication.study.checking import CheckReport
from replication.study.plausibility import RULES, RaisedQuery

if TYPE_CHECKING:
    from replication.analysis.outcome import Figure, Text

__all__ = ["as_html", "as_json", "figure_parts", "folded", "page", "print_report", "table", "worded"]

_NARROW = 100  # columns of a terminal
_ROWS_LISTED = 12
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
    """The whole page, which may load and run nothing but its own style; `parts` are finished markup."""
    style = _STYLE + (_figure_style() if figures else "")
    head = html.escape(title)
    # The policy names the style by its digest: markup that slipped in could bring no style or script of its own.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{head}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{style}</style></head>\n'
        f"<body>\n<main>\n<h1>{head}</h1>\n{chr(10).join(parts)}\n</main>\n</body>\n</html>\n"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """A table of text; `kind` is the class of its rows."""
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in header)
    opening = f'<tr class="{kind}">' if kind else "<tr>"
    body = "\n".join(opening + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody></table>"


def worded(text: Text) -> str:
    """A label of an analysis in English, as terminals and previews show it."""
    from replication.report import words  # where a label is to be shown: most commands show none

    return words.worded(text)


def figure_parts(figures: Iterable[Figure], level: int) -> list[str]:
    """Each figure as the report draws it, with its text alternative, below its title as a heading of that level."""
    from replication.analysis.outcome import plain
    from replication.report.figures import draw, read_figure
    from replication.report.words import english

    words, parts = english(), []
    for figure in figures:
        stored = plain(figure)
        assert isinstance(stored, dict)
        data = read_figure(stored, words)
        drawing = draw(data, words, lambda _name: "")
        missing = f"<p>{html.escape(drawing.missing)}</p>"
        shown = drawing.wide.markup(drawing.alt, inline=True) if drawing.wide else missing
        parts.append(f"<h{level}>{html.escape(data.title)}</h{level}>\n{shown}")
    return parts


def _figure_style() -> str:
    return resources.files("replication.report").joinpath("assets", "figures.css").read_text(encoding="utf-8")


_DECIDED = ("coders-differ", "coded-alone", "not-as-coded")  # decided together, not answered


def print_report(report: CheckReport, data: Path | None = None, *, file: str = "") -> None:
    """Problems and questions as a table where there is a terminal, as lines elsewhere; then the result.

    `data` is where the dataset was said to be: the command that is offered goes there, too. `file` is the workbook or
    saved form that was checked, whose questions can be answered once it is taken over.
    """
    entries = folded([*report.errors, *report.questions])
    if sys.stdout.isatty():
        _print_table(entries[:SHOWN])
    else:
        for problem in entries[:SHOWN]:
            sys.stdout.write(f"{problem}\n")
    if len(entries) > SHOWN:
        sys.stdout.write(f"… and {len(entries) - SHOWN} more; mend these and check again\n")
    sys.stdout.write(report.summary + "\n")
    asked = [
        a for a in report.queries if a.answer is None and a.problem.rule in RULES and a.problem.rule not in _DECIDED
    ]
    if asked:
        where = "" if data is None else f" --data {shlex.quote(str(data))}"
        sys.stdout.write(_how_to_take(file, where) if file else _how_to_answer(asked[0], where))


def _how_to_answer(asked: RaisedQuery, where: str) -> str:
    work = asked.problem.file.partition("/")[0]
    return (
        "If the source really says so, record why, for example:\n"
        f"  python -m replication.study answer {work} {asked.problem.rule} {shlex.quote(asked.query.rows[0])} "
        f'--reason "…" --who "your name"{where}\n'
        "(all in place of the id answers every open question of that rule)\n"
    )


def _how_to_take(file: str, where: str) -> str:
    return (
        "If the source really says so, take it over first, then check it again under its key, which says how to answer:"
        f"\n  python -m replication.study take {shlex.quote(file)}{where}\n"
    )


def as_json(report: CheckReport) -> str:
    """The report as JSON: every problem and question with its place, and every answer."""
    record = {
        "checked": report.title,
        "dataset_version": report.version,
        "works": report.works,
        "summary": report.summary,
        "errors": len(report.errors),
        "questions": len(report.questions),
        "problems": [_plain(problem) for problem in report.problems],
        "plausibility": [
            _plain(a.problem) | {"rows": list(a.query.rows), "answer": _answer(a)} for a in report.queries
        ],
    }
    return json.dumps(record, ensure_ascii=False, indent=1) + "\n"


def as_html(report: CheckReport) -> str:
    """The report as one page that needs nothing else."""
    parts = [f"<p>{html.escape(report.summary)}</p>"]
    parts += _section("To mend", "error", report.errors)
    parts += _section("To mend or to answer", "warning", report.questions)
    if report.answered:
        rows = [
            (
                a.problem.place,
                f"{a.problem.found}: expected {a.problem.expected}",
                f"{a.answer.reason} ({a.answer.who})",
            )
            for a in report.answered
            if a.answer
        ]
        parts += ["<h2>Answered</h2>", table(("Where", "Question", "Answer"), rows)]
    if report.version:
        parts.append(f"<p>Dataset version {html.escape(report.version)}.</p>")
    return page(f"Check of {report.title}", parts)


def _section(heading: str, kind: str, problems: Sequence[Problem]) -> list[str]:
    if not problems:
        return []
    problems = folded(problems)
    rows = [(p.place, p.found, p.expected, f"{p.hint} [{p.rule}]".strip()) for p in problems[:SHOWN]]
    more = [f"<p>… and {len(problems) - SHOWN} more.</p>"] if len(problems) > SHOWN else []
    return [
        f"<h2>{heading} ({len(problems)})</h2>",
        table(("Where", "Found", "Expected", "What to do"), rows, kind),
        *more,
    ]


def folded(problems: Sequence[Problem]) -> list[Problem]:
    """The problems with those that say the same of many rows folded into the first, which then names the others."""
    alike: dict[tuple[str, ...], list[Problem]] = {}
    for problem in problems:
        key = (problem.file, problem.column, problem.rule, problem.found, problem.expected, problem.hint)
        alike.setdefault(key, []).append(problem)
    return [_first_of(same) for same in alike.values()]


def _first_of(same: Sequence[Problem]) -> Problem:
    """The first of problems that say the same, with the rows of the others in its hint."""
    others = [str(problem.row) for problem in same[1:]]
    if not others:
        return same[0]
    listed = ", ".join(others[:_ROWS_LISTED]) + (" …" if len(others) > _ROWS_LISTED else "")
    rows = f"the same in {len(others)} more row{'s' if len(others) > 1 else ''}: {listed}"
    return replace(same[0], hint=f"{same[0].hint}; {rows}" if same[0].hint else rows)


def _print_table(problems: Sequence[Problem]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not problems:
        return
    if Console().width < _NARROW:  # a table of four columns would break file names in mid-word
        for problem in problems:
            Console().print(Text(str(problem), "red" if problem.severity == "error" else "yellow"), "", sep="\n")
        return
    shown = Table(show_lines=True)
    for name in ("where", "found", "expected", "what to do"):
        shown.add_column(name, overflow="fold")
    for problem in problems:
        style = "red" if problem.severity == "error" else "yellow"
        cells = (problem.found, problem.expected, f"{problem.hint} [{problem.rule}]".strip())
        shown.add_row(Text(problem.place, style), *(Text(cell) for cell in cells))
    Console().print(shown)


def _plain(problem: Problem) -> dict[str, object]:
    return {
        "file": printable(problem.file),
        "row": problem.row,
        "column": printable(problem.column),
        "rule": problem.rule,
        "severity": problem.severity,
        "found": problem.found,
        "expected": problem.expected,
        "hint": problem.hint,
    }


def _answer(asked: RaisedQuery) -> dict[str, str] | None:
    return None if asked.answer is None else {"reason": asked.answer.reason, "who": asked.answer.who}
