"""Letters of a text: hidden ones, which trip readers and programs, and those the paper report has no glyph for.

Every file of the dataset goes through the same eyes: tables cell by cell, records and the bibliography line by line and
value by value, because an escape such as \\u202E is plain to the eye in the file and hidden in the page.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from replication.dataset.problems import Problem, shown

__all__ = ["has_hidden", "hidden_lines", "hidden_values", "lacks_glyph"]

# Persian and Indic words need joiners between letters, and pictures between their parts; elsewhere they only hide.
_JOINERS = "\u200c\u200d"
_SETTING = "\n\r\t"  # what sets lines; harmless in a file, not in a cell
_HINT = "delete the hidden character (it is shown as <U+…>), or type the text again"
_EXPECTED = "text without hidden characters"
# Scripts that the fonts of the typesetter hold, by the beginning of their letters' Unicode names; a test asks it.
_LATIN, _PICTURES = 0x2FF, 0x1F000  # up to the first all are held; from the second on emoji and their like begin
_PRINTED = (
    "LATIN",
    "GREEK",
    "CYRILLIC",
    "ARABIC LETTER",
    "HEBREW",
    "DEVANAGARI",
    "GEORGIAN LETTER",
    "MODIFIER LETTER",
    "COMBINING",
)


def has_hidden(text: str, allowed: str = "") -> str:
    """The first hidden character of a text, "" where it has none; joiners between letters are no hidden ones.

    >>> has_hidden("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"), has_hidden("r\u200c = .3")
    ('', '\\u200c')
    >>> has_hidden("a\u2028b"), has_hidden("n\u00a0=\u00a05"), has_hidden("\U0001f469\u200d\U0001f467")
    ('\\u2028', '', '')
    """
    if text.isprintable():
        return ""
    for place, letter in enumerate(text):
        # Category C: controls, formats such as text turned around, private and unassigned characters; Zl and Zp end a
        # line or a paragraph wherever they are shown. Other odd spaces, as come along from a PDF, do no harm.
        category = unicodedata.category(letter)
        if (category[0] == "C" or category in ("Zl", "Zp")) and letter not in allowed:
            beside = (text[place - 1 : place], text[place + 1 : place + 2])
            if letter not in _JOINERS or not all(map(_is_joined, beside)):
                return letter
    return ""


def _is_joined(letter: str) -> bool:
    """Whether a joiner may stand beside this: a letter, a mark, or a picture of several (families, flags)."""
    return letter != "" and (unicodedata.category(letter)[0] in "LM" or ord(letter) >= _PICTURES)


def hidden_lines(text: str, file: str) -> Iterator[Problem]:
    """The first line of a file with a hidden character; line ends and tabs are none."""
    if text.isprintable():
        return
    for number, line in enumerate(text.split("\n"), 1):
        if has_hidden(line, _SETTING):
            yield Problem(file, number, "", "control", shown(_around(line)), _EXPECTED, _HINT)
            return


def hidden_values(record: object, file: str) -> Iterator[Problem]:
    """Every value or name of a parsed record with a hidden character; line ends and tabs are none."""
    waiting: list[tuple[object, str]] = [(record, "")]  # a list, since tables may be nested deeper than calls may
    while waiting:
        value, place = waiting.pop()
        if isinstance(value, str) and has_hidden(value, _SETTING):
            yield Problem(file, 0, place, "control", shown(_around(value)), _EXPECTED, _HINT)
        elif isinstance(value, dict):
            # Names of fields are shown in pages and messages, too.
            waiting += [(name, place) for name in value]
            waiting += [(below, f"{place}.{name}".lstrip(".")[-200:]) for name, below in value.items()]
        elif isinstance(value, list):
            waiting += [(below, f"{place}.{number}"[-200:]) for number, below in enumerate(value, 1)]


def lacks_glyph(text: str) -> str:
    """The first letter or picture of a text that the PDF cannot show (it prints □ in its place); "" where it has none.

    >>> lacks_glyph("Løvlie, Κ., Ж."), lacks_glyph("Li 李")
    ('', '李')
    """
    if text.isascii():
        return ""
    for letter in text:
        written = unicodedata.category(letter)[0] == "L" or ord(letter) >= _PICTURES
        if ord(letter) > _LATIN and written and not unicodedata.name(letter, "").startswith(_PRINTED):
            return letter
    return ""


def _around(text: str) -> str:
    """The hidden character with a little of what stands before it, so that it can be found."""
    place = text.index(has_hidden(text, _SETTING))
    return text[max(0, place - 20) : place + 20]
