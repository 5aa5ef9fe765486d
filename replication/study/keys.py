"""Which names a work may have: first author and year, and nothing that means something else to a computer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

from replication.dataset.letters import has_hidden
from replication.dataset.problems import shown
from replication.errors import UserError

__all__ = ["check_key", "check_text"]

_KEY = re.compile(r"[a-z][a-z0-9]{2,39}")
_OURS = ("article", "notes", "coders", "references", "vocabulary", "traps", "screened", "leads", "schemas")
_SYSTEM = ("con", "prn", "aux", "nul", *(f"{name}{i}" for name in ("com", "lpt") for i in range(10)))
_LONGEST = 2000


def check_key(key: str, root: Path, known: Collection[str]) -> str:
    """The key, if a new work may have it.

    Raises
    ------
    UserError
        with the reason, when it may not.
    """
    name = shown(key)
    if not key:
        raise UserError("the key is empty; write first author and year in small letters, e.g. smith2024")
    if any(mark in key for mark in ("/", "\\", "..")) or Path(key).is_absolute():
        raise UserError(f"{name} looks like a path; the key is the name of one folder, e.g. smith2024")
    # Before the pattern: "a letter outside a to z" says more than "cannot be a key".
    if not key.isascii():
        odd = next(letter for letter in key if not letter.isascii())
        called = unicodedata.name(odd, f"U+{ord(odd):04X}").lower()
        raise UserError(f"{name} has a letter outside a to z ({called}); write it plainly, e.g. lovlie2017 for Løvlie")
    if not _KEY.fullmatch(key):
        raise UserError(f"{name} cannot be a key: 3 to 40 small letters and digits, starting with a letter: smith2024")
    if key in _OURS or key in _SYSTEM:
        whose = "this project" if key in _OURS else "Windows"
        raise UserError(f"{name} is a reserved name of {whose}; take first author and year, e.g. smith2024")
    if key in known or (root / key).exists():
        raise UserError(f"{name} is already in the dataset ({root.name}/{key}); for another work add a letter: {key}b")
    return key


def check_text(name: str, text: str) -> str:
    """A line of text without what would trip a reader or a program: control and direction marks, line breaks.

    Raises
    ------
    UserError
        with the reason, when it has such a letter or is too long.
    """
    text = " ".join(text.split())
    if len(text) > _LONGEST:
        raise UserError(f"{name} has {len(text)} letters; at most {_LONGEST}")
    odd = has_hidden(text)
    if odd:
        raise UserError(f"{name} has an invisible letter (U+{ord(odd):04X}) in {shown(text)}; type it again by hand")
    return text
