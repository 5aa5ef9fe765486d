"""What spreadsheets make of a table, and how it is recognised: encodings, separators, decimal commas, dates, errors.

Two ideas. The form of a file is read as it comes (semicolons, tabs, UTF-16, Windows-1252), because the remedy "save it
as CSV UTF-8" writes semicolons again in half of Europe. Its meaning is never guessed: whether "5,123" is 5.123 or
5123 is decided by the other numbers of the same table, or by nobody.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replication.dataset.schema import Column, Table

__all__ = [
    "PLAIN",
    "TYPESET_MINUS",
    "Form",
    "ambiguous",
    "date_hint",
    "decimal_comma",
    "decode",
    "mended_text",
    "plain_number",
    "readings",
    "separator_of",
    "spreadsheet_hint",
    "without_separator_line",
]

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_NUMERIC = ("number", "integer", "printed")
_SIGNED = r"\s*[<>≤≥]?\s*[-+−–‐‑]?\s*"
_COMMA = re.compile(
    rf"{_SIGNED}(?:0*,\d+|\d+,\d{{1,2}}|\d+,\d{{4,}}|0\d*,\d+|\d{{4,}},\d+|\d{{1,3}}(?:\.\d{{3}})+,\d+)\s*%?", re.ASCII
)
_POINT = re.compile(
    rf"{_SIGNED}(?:0*\.\d+|\d+\.\d{{1,2}}|\d+\.\d{{4,}}|\d{{1,3}}(?:,\d{{3}})+\.\d+|\d{{1,3}}(?:,\d{{3}}){{2,}})\s*%?",
    re.ASCII,
)
_EITHER = re.compile(rf"{_SIGNED}[1-9]\d{{0,2}},\d{{3}}\s*%?", re.ASCII)
_GROUPED_BY_POINT = re.compile(rf"{_SIGNED}[1-9]\d{{0,2}}(?:\.\d{{3}})+\s*%?", re.ASCII)
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=(.)"?\r?\n', re.IGNORECASE)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan januar january jän",
            "feb februar february febr",
            "mar mars march mär märz mrz",
            "apr april",
            "mai may maj",
            "jun juni june",
            "jul juli july",
            "aug august",
            "sep sept september",
            "okt oct oktober october",
            "nov november",
            "des dez dec desember dezember december",
        ),
        1,
    )
    for name in names.split()
}
# Longest first: "jan" would otherwise stop in "januar".
_WORD = rf"({'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
_DAY_MONTH = re.compile(rf"(\d{{1,2}})[.\-/ ]{{1,2}}{_WORD}(?:[.\-/ ]{{1,2}}\d{{2,4}})?", re.IGNORECASE)
_MONTH_DAY = re.compile(rf"{_WORD}[.\-/ ]{{1,2}}(\d{{1,2}})", re.IGNORECASE)
_ISO = re.compile(r"\d{4}-(\d{2})-(\d{2})(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?")
_NUMERIC_DATE = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](?:\d{4}|\d{2})")
_ERRORS = re.compile(
    r"#(?:REF|N/A|NAME|VALUE|DIV/0|NUM|NULL|SPILL|VERDI|WERT|BEZUG|ZAHL|NV|NAVN|I/T|REFERANSE)[!?]?", re.I
)
TYPESET_MINUS = "[\u2010-\u2015\u2212\ufe63\uff0d]"
"""A hyphen, dash or minus sign proper, as it comes along when a number is copied from a PDF."""
_TYPESET_NUMBER = re.compile(rf"{TYPESET_MINUS}(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)")
_HASHES = re.compile(r"#{2,}")
_SCIENTIFIC = re.compile(r"[+-]?\d(?:[.,]\d+)?E[+]?\d{1,2}", re.ASCII)
_MOJIBAKE = re.compile("[ÂÃâ][\u0080-\u00bf\u0152-\u2122]")


@dataclass(frozen=True, slots=True)
class Form:
    """How a table was written: its encoding, what separates its cells, the commas and minus signs of its numbers."""

    encoding: str = "UTF-8"
    separator: str = ","
    decimal_comma: bool = False
    minus_signs: bool = False

    def __str__(self) -> str:
        parts = [] if self.encoding == "UTF-8" else [self.encoding]
        parts += [] if self.separator == "," else [SEPARATORS[self.separator]]
        parts += ["decimal commas"] if self.decimal_comma else []
        parts += ["minus signs of a typesetter"] if self.minus_signs else []
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 2 else parts)


PLAIN = Form()
"""The form in which the dataset is stored."""


def decode(content: bytes) -> tuple[str, str]:
    """The text of a file and its encoding: UTF-8, UTF-16 with its mark, or Windows-1252.

    Raises
    ------
    UnicodeDecodeError
        when it is none of them. A file with letters of UTF-8 and other bytes is damaged, not Windows-1252.
    """
    # Excel's "Unicode text" is UTF-16; without its mark it cannot be told from bytes.
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16"), "UTF-16"
    try:
        return content.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        # Windows-1252 takes almost any byte: it would turn a damaged UTF-8 file into wrong letters without a word.
        if _MULTIBYTE.search(content):
            raise
        try:
            return content.decode("cp1252"), "Windows-1252"
        except UnicodeDecodeError:
            pass
        raise  # the place of the byte that is not UTF-8, which every reader of the message can find


def without_separator_line(text: str) -> tuple[str, str]:
    """The text without the line `sep=;` by which Excel names its separator, and that separator ("" without one)."""
    match = _SEPARATOR_LINE.match(text)
    return (text, "") if match is None else ("\n" + text[match.end() :], match[1])  # lines keep their numbers


def separator_of(text: str, table: Table) -> str:
    """What separates the cells of a table: the mark under which its header names most columns, commas in doubt."""
    header = next((line for line in io.StringIO(text) if line.strip() and not line.lstrip().startswith("#")), "")
    known = table.by_name

    def named(mark: str) -> int:
        try:
            cells = next(csv.reader([header], delimiter=mark), [])
        except csv.Error:  # a stray line break or an open quote, which reading the rows will say
            return 0
        return sum(cell.strip() in known for cell in cells)

    # Where commas name every column there is nothing to compare.
    return "," if named(",") == header.count(",") + 1 > 1 else max(SEPARATORS, key=named)


def decimal_comma(columns: Sequence[Column | None], rows: Iterable[Sequence[str]]) -> bool:
    """Whether the decimals of a table have commas: some number says so, and none says otherwise."""
    places = [i for i, column in enumerate(columns) if column is not None and column.kind in _NUMERIC]
    comma = False
    for row in rows:
        for place in places:
            cell = row[place]
            if "," in cell and _COMMA.fullmatch(cell):
                comma = True
            elif "." in cell and _POINT.fullmatch(cell):
                # One number with a point in it settles the table: mixed tables are left to their coder.
                return False
    return comma


def with_hyphen(cell: str) -> str:
    """A number whose minus sign is a typesetter's, as it comes along from a PDF, with the hyphen of a keyboard.

    >>> with_hyphen("−.20"), with_hyphen("–0,31"), with_hyphen("–"), with_hyphen(".05–.10")
    ('-.20', '-0,31', '–', '.05–.10')
    """
    # In front of a number alone: between two it is a range, and by itself it stands for an empty cell.
    return "-" + cell[1:] if _TYPESET_NUMBER.fullmatch(cell) else cell


def plain_number(cell: str) -> str:
    """A number of a table with decimal commas, with a point; what may be a number of thousands stays as it is.

    >>> plain_number("-0,31"), plain_number("1.234,5"), plain_number("1.234")
    ('-0.31', '1234.5', '1.234')
    """
    if _COMMA.fullmatch(cell) or _EITHER.fullmatch(cell):
        return cell.replace(".", "").replace(",", ".")
    return cell


def ambiguous(cell: str) -> bool:
    """Whether a number is one thing with a decimal comma and another with a comma of thousands, as 5,123 is."""
    return _EITHER.fullmatch(cell) is not None


def grouped_by_point(cell: str) -> bool:
    """Whether a number of a table with decimal commas has a point where thousands have one, as 1.234."""
    return _GROUPED_BY_POINT.fullmatch(cell) is not None


def readings(cell: str) -> tuple[str, str]:
    """Both readings of an ambiguous number: with a decimal comma, and in thousands.

    >>> readings("5,123")
    ('5.123', '5123')
    """
    return cell.replace(",", "."), cell.replace(",", "").replace(".", "")


def spreadsheet_hint(cell: str) -> str:
    """What a spreadsheet has made of a number, and what it may have been; empty where it has left no trace.

    >>> spreadsheet_hint("4.12E+02")
    'a spreadsheet shortened the number: it was about 412; look its last digits up'
    """
    # The order goes from what is certain to what is likely.
    if _HASHES.fullmatch(cell):
        return "a spreadsheet's column was too narrow and its signs were saved: widen it, or look the number up"
    if _ERRORS.fullmatch(cell):
        return "a spreadsheet's error: its formula pointed nowhere; type the number itself"
    if _SCIENTIFIC.fullmatch(cell):
        value = float(cell.replace(",", "."))
        return f"a spreadsheet shortened the number: it was about {value:.0f}; look its last digits up"
    return date_hint(cell)


def date_hint(cell: str) -> str:
    """For a date that a spreadsheet made of a number: what was probably typed; empty for anything else.

    >>> date_hint("31.des")
    'a spreadsheet made a date of it: typed was probably 31.12, 31-12 or 31/12; format the column as text first'
    """
    day, month = _day_month(cell.strip())
    if not day:
        return ""
    typed = f"{day}.{month}, {day}-{month} or {day}/{month}"
    return f"a spreadsheet made a date of it: typed was probably {typed}; format the column as text first"


def _day_month(cell: str) -> tuple[int, int]:
    if match := _DAY_MONTH.fullmatch(cell):
        return int(match[1]), _MONTHS[match[2].lower()]
    if match := _MONTH_DAY.fullmatch(cell):
        return int(match[2]), _MONTHS[match[1].lower()]
    if match := _ISO.fullmatch(cell):
        return int(match[2]), int(match[1])
    if match := _NUMERIC_DATE.fullmatch(cell):
        return int(match[1]), int(match[2])
    return 0, 0


def mended_text(cell: str) -> str:
    """A text whose UTF-8 letters were once read as Windows-1252, as it was; the text itself where they were not.

    >>> mended_text("LÃ¸vlie"), mended_text("Løvlie")
    ('Løvlie', 'Løvlie')
    """
    # Only with its typical pairs of letters: a lone Ã is a letter of Portuguese.
    if not _MOJIBAKE.search(cell):
        return cell
    try:
        return cell.encode("cp1252").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return cell
