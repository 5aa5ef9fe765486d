"""Cells that a spreadsheet would run, shown and not run; and the same cells back as they were.

One owner for every file that leaves the project (report, bundle, export, workbook) and every table that comes in. The
starts are those OWASP lists for CSV injection, with their full-width forms. What is a number, or a lone sign, is left
alone: it is data, and no program runs it.
"""

from __future__ import annotations

import re

__all__ = ["harmless", "is_command", "restored"]

_STARTS = "=+\\-@\t\r\n|%\uff1d\uff0b\uff0d\uff20"
# Apostrophes in front count, too: else a cell guarded twice could not be told from one guarded once.
_RUN = re.compile(rf"'*[ \u00a0]*[{_STARTS}]")
_ALONE = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?%?|[+-]", re.ASCII)
_COMMAND = re.compile(r"[ \u00a0]*([=@\t\r\n|%\uff1d\uff20]|[+\-\uff0b\uff0d].*([|!]|[A-Za-z_.]+\s*\())", re.DOTALL)


def harmless(cell: str) -> str:
    """Text that a spreadsheet shows and does not run: an apostrophe goes before what it might take for a formula.

    Numbers, also with a sign, and a lone sign, which stands for a direction, are left alone.

    >>> harmless("=HYPERLINK(1)"), harmless("-.32"), harmless("+"), harmless("-2+3+cmd|' /C calc'!A0")
    ("'=HYPERLINK(1)", '-.32', '+', "'-2+3+cmd|' /C calc'!A0")
    """
    if cell[:1].isalnum():  # nearly every cell, and the expressions take longer than the rest of a table
        return cell
    return f"'{cell}" if _RUN.match(cell) and not _ALONE.fullmatch(cell) else cell


def restored(cell: str) -> str:
    """The cell that `harmless` was given; every other cell as it is.

    >>> restored("'=1+1"), restored("'tis"), restored(harmless("'=1+1"))
    ('=1+1', "'tis", "'=1+1")
    """
    return cell[1:] if cell.startswith("'") and _RUN.match(cell) and not _ALONE.fullmatch(cell[1:]) else cell


def is_command(cell: str) -> bool:
    """Whether a text is nothing but a formula: one begins so, or calls a function or a program behind a sign.

    Unlike `harmless` it leaves alone what sources print: a sign before words or numbers.

    >>> is_command("+cmd|' /C calc'!A0"), is_command("-.32** (p < .01)"), is_command("- see Table 2")
    (True, False, False)
    """
    return _COMMAND.match(cell) is not None and not _ALONE.fullmatch(cell)
