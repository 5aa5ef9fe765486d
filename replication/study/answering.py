"""Recording an answer to a plausibility question in the work's `answers.toml`."""

from __future__ import annotations

from pathlib import Path

from replication.dataset.problems import nearest, shown
from replication.errors import UserError
from replication.study.checking import CheckReport
from replication.study.keys import check_text
from replication.study.plausibility import RULES, Query
from replication.study.tables import quoted
from replication.writing import write_atomic

__all__ = ["record_answer"]

_HEAD = (
    "#:schema ../../schemas/answers.schema.json\n"
    "# Why rows that raise a question of `study check` are right as they stand.\n"
)
_EVERY = "all"  # in place of an id: every open question of the rule
_LISTED = 3  # questions named in a message


def record_answer(folder: Path, report: CheckReport, rule: str, row: str, reason: str, who: str) -> None:
    """Add an answer; the question must be one the check asks.

    Parameters
    ----------
    folder : the work's folder.
    report : the check in which the question was asked.
    rule : the question, as the check names it.
    row : the id of the row it is about. Where several questions are about it and further rows, all ids of one of them,
        with commas between; `all` for every open question of the rule in this work.
    reason, who : why the row is right, and who says so.

    Raises
    ------
    UserError
        when nobody asks that question about that row, when it is not clear which question is meant, or reason or name
        is missing.
    """
    questions = _meant(report, rule, row)
    reason, who = check_text("the reason", reason), check_text("the name", who)
    if not reason or not who:
        raise UserError("say why it is right (--reason) and who says so (--who); a later reader needs both")
    path = folder / "answers.toml"
    # Appended as text: a TOML library would drop the comments people have written beside their answers.
    before = path.read_text(encoding="utf-8") if path.exists() else _HEAD
    entries = "".join(f"\n{_entry(question, reason, who)}" for question in questions)
    write_atomic(path, f"{before.rstrip()}\n{entries}")


def _meant(report: CheckReport, rule: str, row: str) -> list[Query]:
    """The open questions meant: one, or several by the same rule about the same rows."""
    if rule not in RULES:
        raise UserError(f'no rule "{rule[:60]}": {nearest(rule, RULES)}')
    asked = [a.query for a in report.queries if a.problem.rule == rule and a.answer is None]
    if row == _EVERY and asked:
        return asked
    # One id is the usual case; several with commas are tried only where no single id is meant.
    about = [s for s in asked if row in s.rows] or [s for s in asked if _same_rows(row, s.rows)]
    if not about:
        if any(a.problem.rule == rule and a.answer and row in a.query.rows for a in report.queries):
            raise UserError(f'"{rule}" about "{row[:60]}" has an answer already; edit it in answers.toml')
        ids = {name for s in asked for name in s.rows}
        raise UserError(f'nobody asks "{rule}" about "{row[:60]}": {nearest(row, ids) if ids else "no such question"}')
    different = list(dict.fromkeys(",".join(s.rows) for s in about))
    if len(different) > 1:
        listed = " or ".join(f'"{rows}"' for rows in different[:_LISTED])
        raise UserError(f'{len(different)} questions "{rule}" are about {shown(row)}; name all rows of one: {listed}')
    return about


def _same_rows(named: str, rows: tuple[str, ...]) -> bool:
    return {name.strip() for name in named.split(",")} == set(rows)


def _entry(question: Query, reason: str, who: str) -> str:
    """One question with its answer, as TOML."""
    rows = ", ".join(quoted(name) for name in question.rows)
    return (
        f"[[answer]]\nrule = {quoted(question.problem.rule)}\nrows = [{rows}]\nfound = {quoted(question.text)}\n"
        f"reason = {quoted(reason)}\nwho = {quoted(who)}\n"
    )
