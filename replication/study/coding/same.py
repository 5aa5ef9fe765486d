"""Whether two coders' cells say the same."""

from __future__ import annotations

from collections.abc import Sequence

from replication.dataset.schema import Column
from replication.printed import parse_printed

__all__ = ["same_value"]


def same_value(column: Column, cells: Sequence[str]) -> bool:
    """Whether all cells say the same: words alike, numbers equal, printed numbers equal with the same digits."""
    if len(set(cells)) == 1:
        return True
    # Not found is another finding than a value: an empty cell never agrees with a filled one.
    if "" in cells:
        return False
    if column.kind in ("number", "integer"):
        return len({float(cell) for cell in cells}) == 1
    if column.kind == "printed":
        # .3 and .30 are one number but two prints, and claims are about the print.
        return len({(p.value, p.decimals, p.bound) for p in map(parse_printed, cells)}) == 1
    if column.kind == "words":
        return len({frozenset(cell.split(";")) for cell in cells}) == 1
    return len({" ".join(cell.split()).casefold() for cell in cells}) == 1
