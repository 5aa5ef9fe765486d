"""Cells as other programs may read them: nothing a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

__all__ = ["cell_text", "csv_text", "harmless"]

_RUN = ("=", "+", "-", "@", "\t", "\r", "\n", "|")


def harmless(cell: str) -> str:
    """Text that a spreadsheet shows and does not run: an apostrophe goes before what looks like a formula.

    Numbers, also with a sign, are left alone; so is a lone sign, which stands for a direction.

    >>> harmless("=HYPERLINK(1)"), harmless("-.32"), harmless("+")
    ("'=HYPERLINK(1)", '-.32', '+')
    """
    if not cell.startswith(_RUN) or len(cell) == 1 or _is_number(cell):
        return cell
    return f"'{cell}"


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A CSV file: commas, one line end a row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def cell_text(cell: object) -> str:
    """A cell as text: harmless, on one line, a missing number empty, a whole number without a point."""
    if isinstance(cell, float):
        return "" if math.isnan(cell) else (f"{cell:.0f}" if cell.is_integer() else repr(cell))
    return harmless(" ".join(str(cell).split("\n")))


def _is_number(cell: str) -> bool:
    try:
        float(cell.removesuffix("%"))
    except ValueError:
        return False
    return True
