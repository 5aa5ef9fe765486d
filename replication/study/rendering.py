"""A check on the terminal, as a page to attach to a pull request, and as JSON. The words are the same in all three."""

from __future__ import annotations

import html
import json
import shlex
import sys
from collections.abc import Sequence

from replication.dataset import Problem
from replication.dataset.problems import SHOWN, printable
from replication.study.checking import CheckReport
from replication.study.page import page, table
from replication.study.plausibility import RULES, Asked

__all__ = ["as_html", "as_json", "print_report"]

_DECIDED = ("coders-differ", "coded-alone", "not-as-coded")  # decided together, not answered


def print_report(report: CheckReport) -> None:
    """Problems and questions as a table where there is a terminal, as lines elsewhere; then the result."""
    entries = [*report.errors, *report.questions]
    if sys.stdout.isatty():
        _print_table(entries[:SHOWN])
    else:
        for problem in entries[:SHOWN]:
            sys.stdout.write(f"{problem}\n")
    if len(entries) > SHOWN:
        sys.stdout.write(f"… and {len(entries) - SHOWN} more; mend these and check again\n")
    sys.stdout.write(report.summary + "\n")
    asked = [a for a in report.asked if a.answer is None and a.problem.rule in RULES and a.problem.rule not in _DECIDED]
    if asked:
        first = asked[0]
        work = first.problem.file.partition("/")[0]
        sys.stdout.write(
            "If the source really says so, record why, for example:\n"
            f"  python -m replication.study answer {work} {first.problem.rule} {shlex.quote(first.suspicion.rows[0])} "
            '--reason "…" --who "your name"\n'
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
            _plain(a.problem) | {"rows": list(a.suspicion.rows), "answer": _answer(a)} for a in report.asked
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
    rows = [(p.place, p.found, p.expected, f"{p.hint} [{p.rule}]".strip()) for p in problems[:SHOWN]]
    more = [f"<p>… and {len(problems) - SHOWN} more.</p>"] if len(problems) > SHOWN else []
    return [
        f"<h2>{heading} ({len(problems)})</h2>",
        table(("Where", "Found", "Expected", "What to do"), rows, kind),
        *more,
    ]


def _print_table(problems: Sequence[Problem]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not problems:
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


def _answer(asked: Asked) -> dict[str, str] | None:
    return None if asked.answer is None else {"reason": asked.answer.reason, "who": asked.answer.who}
