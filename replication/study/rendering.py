"""A check on the terminal, as a page to attach to a pull request, and as JSON. The words are the same in all three."""

from __future__ import annotations

import html
import json
import sys
from collections.abc import Iterable, Sequence

from replication.dataset import Problem
from replication.dataset.problems import SHOWN, printable
from replication.study.checking import CheckReport
from replication.study.plausibility import RULES, Asked

__all__ = ["as_html", "as_json", "print_report"]

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #8888; }
td { overflow-wrap: anywhere; } code { font-size: .9em; }
.error { border-left: 4px solid #c0392b; } .warning { border-left: 4px solid #b9770e; }
""".strip()


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
    asked = [a for a in report.asked if a.answer is None and a.problem.rule in RULES]
    if asked:
        first = asked[0]
        work = first.problem.file.partition("/")[0]
        sys.stdout.write(
            "If the source really says so, record why, for example:\n"
            f"  python -m replication.study answer {work} {first.problem.rule} {first.suspicion.rows[0]} "
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
    title = html.escape(f"Check of {report.title}")
    parts = [f"<h1>{title}</h1>", f"<p>{html.escape(report.summary)}</p>"]
    parts += _section("To mend", "error", report.errors)
    parts += _section("To mend or to answer", "warning", report.questions)
    if report.answered:
        rows = [
            f"<tr><td>{_e(a.problem.place)}</td><td>{_e(a.problem.found)}: expected {_e(a.problem.expected)}</td>"
            f"<td>{_e(a.answer.reason)} <em>({_e(a.answer.who)})</em></td></tr>"
            for a in report.answered
            if a.answer
        ]
        parts += ["<h2>Answered</h2>", _table(("Where", "Question", "Answer"), rows)]
    version = f"<p>Dataset version {_e(report.version)}.</p>" if report.version else ""
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style></head>\n'
        f"<body>\n<main>\n{chr(10).join(parts)}\n{version}\n</main>\n</body>\n</html>\n"
    )


def _section(heading: str, kind: str, problems: Sequence[Problem]) -> list[str]:
    if not problems:
        return []
    rows = [
        f'<tr class="{kind}"><td>{_e(p.place)}</td><td>{_e(p.found)}</td><td>{_e(p.expected)}</td>'
        f"<td>{_e(p.hint)} <code>{_e(p.rule)}</code></td></tr>"
        for p in problems[:SHOWN]
    ]
    more = [f"<p>… and {len(problems) - SHOWN} more.</p>"] if len(problems) > SHOWN else []
    return [f"<h2>{heading} ({len(problems)})</h2>", _table(("Where", "Found", "Expected", "What to do"), rows), *more]


def _table(header: Iterable[str], rows: Iterable[str]) -> str:
    cells = "".join(f'<th scope="col">{name}</th>' for name in header)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>\n{chr(10).join(rows)}\n</tbody></table>"


def _print_table(problems: Sequence[Problem]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not problems:
        return
    table = Table(show_lines=True)
    for name in ("where", "found", "expected", "what to do"):
        table.add_column(name, overflow="fold")
    for problem in problems:
        style = "red" if problem.severity == "error" else "yellow"
        cells = (problem.found, problem.expected, f"{problem.hint} [{problem.rule}]".strip())
        table.add_row(Text(problem.place, style), *(Text(cell) for cell in cells))
    Console().print(table)


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


def _e(text: str) -> str:
    return html.escape(text)
