"""A picture of the workbook for the instructions: drawn from the same columns and examples, so that it never lies."""

from __future__ import annotations

import html
from collections.abc import Iterator

from replication.dataset.schema import TABLES, Vocabulary
from replication.study.submission import SHEETS
from replication.study.templates import example_row
from replication.study.workbook import EXAMPLE

__all__ = ["PICTURE_FILE", "workbook_svg"]

PICTURE_FILE = "workbook.svg"
"""Where the picture is kept: beside the dataset."""
_COLUMNS = ("effect_id", "sample_id", "var_a", "var_b", "statistic", "value", "n", "informant_a", "locator")
_WIDTHS = (190, 130, 90, 110, 80, 60, 50, 110, 120)
_ROW = {
    "sample_id": "vikmoen2025_s1", "var_a": "positive", "var_b": "engagement", "statistic": "r", "value": ".41",
    "n": "214", "informant_a": "student", "locator": "Table 1, p. 5",
}  # fmt: skip
_LINE, _LEFT = 28, 34
_OFFERED = "informant_a"
_LISTED = 5


def workbook_svg(vocabulary: Vocabulary) -> str:
    """The sheet `effects` with a heading row, the example row, a row being filled in and an open list of words."""
    example = example_row("effects.csv", "vikmoen2025", "", vocabulary)
    example["effect_id"] = f"{EXAMPLE}{example['effect_id']}"
    width, height = _LEFT + sum(_WIDTHS) + 2, 300
    parts = [
        *_row(0, {name: name for name in _COLUMNS}, "#1f4e79", "#fff", "bold"),
        *_row(1, example, "#eee", "#555", "normal"),
        *_row(2, _ROW, "#fff", "#111", "normal"),
        *_row(3, {}, "#fff", "#111", "normal"),
        *_choices(list(vocabulary.words(TABLES["effects.csv"].by_name[_OFFERED].vocabulary))[:_LISTED]),
        *_tabs(height),
    ]
    said = (
        "The sheet effects of the workbook: headings, a grey example row, a filled row, and a list of words to choose"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="sans-serif" font-size="13"><title>{said}</title>\n'
        f'<rect width="{width}" height="{height}" fill="#fafafa"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _row(number: int, cells: dict[str, str], fill: str, ink: str, weight: str) -> Iterator[str]:
    """One line of the sheet with its number."""
    top, x = number * _LINE + 4, _LEFT
    yield f'<text x="8" y="{top + 19}" fill="#555">{number + 1}</text>'
    for name, width in zip(_COLUMNS, _WIDTHS, strict=True):
        yield f'<rect x="{x}" y="{top}" width="{width}" height="{_LINE}" fill="{fill}" stroke="#bbb"/>'
        text = html.escape(cells.get(name, ""))
        if text:
            yield f'<text x="{x + 5}" y="{top + 19}" fill="{ink}" font-weight="{weight}">{text}</text>'
        x += width


def _choices(words: list[str]) -> Iterator[str]:
    """The open list below the cell that is being filled in."""
    place = _COLUMNS.index(_OFFERED)
    x, width, top = _LEFT + sum(_WIDTHS[:place]), _WIDTHS[place], 3 * _LINE + 4
    yield f'<rect x="{x}" y="{top}" width="{width}" height="{_LINE}" fill="none" stroke="#107c41" stroke-width="2"/>'
    for i, word in enumerate(words):
        y = top + (i + 1) * 22 + 6
        yield f'<rect x="{x}" y="{y}" width="{width}" height="22" fill="#fff" stroke="#999"/>'
        yield f'<text x="{x + 6}" y="{y + 16}" fill="#111">{html.escape(word)}</text>'


def _tabs(height: int) -> Iterator[str]:
    """The names of the sheets at the bottom."""
    x = _LEFT
    for name in ("start", "work", *SHEETS):
        width = 8 * len(name) + 18
        fill = "#fff" if name == "effects" else "#e4e4e4"
        yield f'<rect x="{x}" y="{height - 28}" width="{width}" height="24" fill="{fill}" stroke="#bbb"/>'
        yield f'<text x="{x + 9}" y="{height - 11}" fill="#111">{name}</text>'
        x += width
