"""Reading packets: a sheet prefilled with what is known of a work and with the tables to copy from it.

For somebody who has the PDF and a quarter of an hour. What to copy stands in the work's `packet.toml`; a work without
one gets the tables that follow from its directions and claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replication.dataset import Dataset
from replication.dataset.problems import nearest, shown
from replication.dataset.records import PacketTable
from replication.errors import UserError

__all__ = ["reading_packet"]

_CELL = " "


def reading_packet(dataset: Dataset, work: str) -> str:
    """The packet of one work (Markdown).

    Raises
    ------
    UserError
        when there is no such work, or it waits for nothing.
    """
    if work not in dataset.works:
        raise UserError(f"no work {shown(work)} in the dataset: {nearest(work, sorted(dataset.works))}")
    tables = _tables(dataset, work)
    if not tables:
        raise UserError(f"nothing of {work} is waiting to be read")
    parts = [_head(dataset, work), _known(dataset, work)]
    parts += ["\n".join(_blank(number, table)) for number, table in enumerate(tables, 1)]
    parts.append("\n".join(_handing_in(work)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(dataset: Dataset, work: str) -> str:
    reference = dataset.references[work]
    packet = dataset.packets.get(work)
    authors = ", ".join(reference.authors)
    lines = [
        f"# Reading packet: {reference.short}",
        "",
        f"{authors} ({reference.year}). {reference.title}. {reference.venue}. {reference.doi}".strip(),
    ]
    if packet:
        lines += ["", f"Where to get it: {packet.get_it}"]
    lines += [
        "",
        "Copy numbers exactly as printed: sign, leading zero, decimals. Leave open what is not printed: an empty cell "
        "is unknown, never zero. Write the page or table beside every number.",
        "",
        "Read by: ____________  Date: ____________  Version read (article, manuscript, supplement): ____________",
    ]
    return "\n".join(lines)


def _known(dataset: Dataset, work: str) -> str:
    """What is held already, to be compared with the print."""
    lines = ["## What is known", ""]
    record = dataset.works[work]
    lines += [record.design, ""] if record.design else []
    claims = _of(dataset, "claims.csv", work)
    if claims:
        lines += ["| id | what | as held | read in | printed the same? | page |", "|---|---|---|---|---|---|"]
        lines += [
            _row((c["claim_id"], f"{c['quantity']} ({c['subgroup']})", _held(c), c["reading"], "", "")) for c in claims
        ]
        lines.append("")
    directions = _of(dataset, "directions.csv", work)
    if directions:
        lines += ["Known by direction only, so the size is what is wanted:", ""]
        lines += [
            f"- `{d['direction_id']}` {d['association']}: {d['direction']} ({d['level']} level)" for d in directions
        ]
    return "\n".join(lines).rstrip()


def _held(claim: Mapping[str, Any]) -> str:
    """A claim's print, with its interval; what could not be read is said."""
    if not claim["printed"]:
        return "could not be read"
    interval = f" [{claim['ci_low']}, {claim['ci_high']}]" if claim["ci_low"] and claim["ci_high"] else ""
    return f"{claim['statistic']} {claim['printed']}{interval}"


def _tables(dataset: Dataset, work: str) -> Sequence[PacketTable]:
    packet = dataset.packets.get(work)
    if packet:
        return packet.table
    directions = _of(dataset, "directions.csv", work)
    # Nothing printed is missing of such a work: a blank sheet would ask for nothing.
    if not directions:
        return ()
    places: dict[str, list[Mapping[str, Any]]] = {}
    for row in directions:
        # One table per place: a reader opens the article at it once.
        places.setdefault(row["where_to_find"] or "the tables of the article", []).append(row)
    columns = ["statistic", "value as printed", "SE or 95 % interval", "n", "p"]
    return [
        PacketTable(
            title="Coefficients known by direction only",
            where=where,
            why="their size",
            rows=[f"{row['direction_id']}: {row['association']}" for row in rows],
            columns=columns,
        )
        for where, rows in places.items()
    ]


def _blank(number: int, table: PacketTable) -> Iterator[str]:
    """One table to fill in: rows by name, empty cells."""
    yield f"## {number}. {table.title}"
    yield ""
    yield f"Where: {table.where}. Wanted for: {table.why}."
    if table.settles:
        yield f"Settles: {', '.join(table.settles)}."
    yield ""
    columns = ("", *table.columns, "page, table")
    yield _row(columns)
    yield "|" + "---|" * len(columns)
    for name in table.rows:
        yield _row((name, *[_CELL] * (len(columns) - 1)))
    # Empty lines below, for rows nobody knew of before the article was open.
    for _ in range(table.more):
        yield _row([_CELL] * len(columns))


def _handing_in(work: str) -> Iterator[str]:
    yield "## Handing it in"
    yield ""
    yield f"1. Printed numbers go to `data/references/{work}/claims.csv`, one a row, reading `table` or `text`."
    yield "2. Correlations of a sample go to `samples.csv` and `effects.csv` (columns: `data/references/README.md`);"
    yield "   partial coefficients keep their statistic (`b`, `beta`, `log_odds`) and never become r."
    yield f"3. `python -m replication.study check {work}`, then `python -m replication.study preview {work}`."


def _of(dataset: Dataset, table: str, work: str) -> list[dict[Any, Any]]:
    rows = dataset.table(table)
    return rows[rows["work"] == work].to_dict("records")


def _row(cells: Sequence[object]) -> str:
    # A bar or a line break would begin a new cell in Markdown.
    return "| " + " | ".join(str(cell).replace("|", "/").replace("\n", " ") for cell in cells) + " |"
