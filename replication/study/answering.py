"""Recording an answer to a plausibility question in the work's `answers.toml`."""

from __future__ import annotations

from pathlib import Path

from replication.dataset.problems import nearest
from replication.errors import UserError
from replication.provenance import write_atomic
from replication.study.checking import CheckReport
from replication.study.keys import check_text
from replication.study.plausibility import RULES
from replication.study.tomltext import quoted

__all__ = ["record_answer"]

_HEAD = (
    "#:schema ../../schemas/answers.schema.json\n"
    "# Why rows that raise a question of `study check` are right as they stand.\n"
)


def record_answer(folder: Path, report: CheckReport, rule: str, row: str, reason: str, who: str) -> None:
    """Add an answer; the question must be one the check asks.

    Raises
    ------
    UserError
        when nobody asks that question about that row, or reason or name is missing.
    """
    if rule not in RULES:
        raise UserError(f'no rule "{rule[:60]}": {nearest(rule, RULES)}')
    asked = {name for a in report.asked if a.problem.rule == rule and a.answer is None for name in a.suspicion.rows}
    if row not in asked:
        raise UserError(
            f'nobody asks "{rule}" about "{row[:60]}": {nearest(row, asked) if asked else "no such question"}'
        )
    reason, who = check_text("the reason", reason), check_text("the name", who)
    if not reason or not who:
        raise UserError("say why it is right (--reason) and who says so (--who); a later reader needs both")
    path = folder / "answers.toml"
    before = path.read_text(encoding="utf-8") if path.exists() else _HEAD
    entry = f"rule = {quoted(rule)}\nrows = [{quoted(row)}]\nreason = {quoted(reason)}\nwho = {quoted(who)}\n"
    write_atomic(path, f"{before.rstrip()}\n\n[[answer]]\n{entry}")
