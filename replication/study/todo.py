"""What is still to be read, on the terminal and as coding sheets to take to the library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from replication.dataset import Dataset
from replication.dataset.problems import nearest, shown
from replication.errors import UserError
from replication.evidence.reading_list import ToRead

__all__ = ["coding_sheet", "todo_lines"]

_KINDS = {
    "coefficient": "only the direction is known: read the coefficient",
    "unreadable": "the print could not be read: read the number",
    "check": "quoted by somebody else: check it against the work",
    "tables": "read what is missing",
    "lead": "nobody has opened it yet: read it",
}


def todo_lines(entries: Sequence[ToRead], dataset: Dataset, *, leads: bool) -> Iterator[str]:
    """One entry a paragraph, most telling first."""
    # Unread studies are many and none of them weighs a known amount: they would bury the rest.
    shown = [entry for entry in entries if leads or entry.kind != "lead"]
    for number, entry in enumerate(shown, 1):
        title = dataset.references[entry.work].short + f" [{entry.work}]" if entry.work else "; ".join(entry.what)
        unknown = "" if entry.n_known else ", n taken as the median"
        pools = " and ".join(f"{a} with {b}" for a, b in entry.pairs)
        weight = f"; would weigh {100 * entry.tells:.0f} % in {pools}{unknown}"
        tells = weight if math.isfinite(entry.tells) else ""
        yield f"{number}. {title}: {_KINDS[entry.kind]}{tells}"
        if entry.work:
            yield f"   what: {_cut('; '.join(entry.what))}"
        yield f"   where: {_cut(entry.where)}"
        if entry.rows and entry.kind != "lead":
            yield f"   settles: {', '.join(entry.rows[:6])}{' …' if len(entry.rows) > 6 else ''}"
    hidden = len(entries) - len(shown)
    if hidden:
        yield f"… and {hidden} studies that nobody has opened yet (--leads shows them)"


def coding_sheet(entries: Sequence[ToRead], dataset: Dataset, work: str) -> str:
    """What to look for in one work, with empty fields to fill in by hand or on screen (Markdown).

    Raises
    ------
    UserError
        when there is no such work, or nothing is left to read in it.
    """
    if work not in dataset.works:
        raise UserError(f"no work {shown(work)} in the dataset: {nearest(work, sorted(dataset.works))}")
    own = [entry for entry in entries if entry.work == work]
    if not own:
        raise UserError(f"nothing of {work} is waiting to be read")
    reference = dataset.references[work]
    authors = ", ".join(reference.authors)
    lines = [
        f"# Coding sheet: {reference.short}",
        "",
        f"{authors} ({reference.year}). {reference.title}. {reference.venue}. {reference.doi}".strip(),
        "",
        f"Enter what you find in `data/references/{work}/`, then run `python -m replication.study check {work}`.",
        "Copy numbers exactly as printed: sign, leading zero, decimals. An empty cell means unknown, never zero.",
        "",
        "Coder: ____________  Date: ____________  Pages seen: ____________",
    ]
    for number, entry in enumerate(own, 1):
        lines += ["", f"## {number}. {_KINDS[entry.kind]}", f"Where: {entry.where}", ""]
        lines += _fields(entry)
    return "\n".join(lines) + "\n"


def _fields(entry: ToRead) -> Iterator[str]:
    if entry.kind == "tables":
        yield f"What: {'; '.join(entry.what)}"
        return
    yield "| row | what | statistic | value as printed | n | CI or SE | test and p | informants | page, table |"
    yield "|---|---|---|---|---|---|---|---|---|"
    # Texts that several rows share are listed once: then each row is told all of them.
    each = entry.what if len(entry.what) == len(entry.rows) else ("; ".join(entry.what),) * len(entry.rows)
    for row, what in zip(entry.rows, each, strict=True):
        yield f"| {row} | {what.replace('|', '/')} | | | | | | | |"


def _cut(text: str, most: int = 240) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
