"""Digests: the identity of data and code by content."""

from __future__ import annotations

import hashlib
import marshal
import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["digest_of", "digest_of_each", "folder_digest", "packed", "python_digest", "without_comments"]


def digest_of(*parts: str | bytes) -> str:
    """SHA-256 over the parts, each with its length so that borders cannot move.

    >>> digest_of("ab", "c") == digest_of("a", "bc")
    False
    """
    return digest_of_each(parts)


def digest_of_each(parts: Iterable[str | bytes]) -> str:
    """As `digest_of`, of parts that are made one after the other: of a large table they are not held together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        # Without lengths "ab", "c" and "a", "bc" would be the same bytes.
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def packed(data: Any) -> bytes:
    """Plain data (text, numbers, lists and tables of them) as bytes, the same for what is the same.

    Five times as fast as its `repr`, as numbers are not written out.

    Raises
    ------
    ValueError
        when there is something else in it.

    >>> packed({"n": [1, 0.5]}) == packed({"n": [1, 0.5]}), packed([1]) == packed([1.0])
    (True, False)
    """
    # Version 2, as later ones also tell whether two equal texts are one and the same in memory.
    return marshal.dumps(data, 2)


def folder_digest(root: Path, skip: Collection[str] = ()) -> str:
    """SHA-256 over the names and bytes of every file below `root`, hidden and compiled ones left out.

    `skip` names files directly below `root` that do not count.
    """
    kept = [(name, path) for name, path in _named(root) if name not in skip]
    return digest_of_each(part for name, path in kept for part in (os.fsencode(name), _content(path)))


def python_digest(root: Path) -> str:
    """SHA-256 over the names and the code of every Python file below `root`; comments and blank lines do not count.

    For results that take minutes: a comment should not cost them.
    """
    kept = [(name, path) for name, path in _named(root) if name.endswith(".py")]
    return digest_of_each(part for n, path in kept for part in (n, without_comments(Path(path).read_text("utf-8"))))


def without_comments(text: str) -> str:
    """Python code without its comments and blank lines.

    Of what stands behind an f-string on its line nothing is left out: later versions of Python allow quotes within its
    braces, and only they know where it ends.

    >>> without_comments("a = '# b'  # c\\n\\n# d\\n")
    "a = '# b'\\n"
    """
    # One expression in place of Python's tokenizer, which takes twenty times as long; a test holds that both agree.
    return _BESIDE_CODE.sub(_kept, f"\n{text}")[1:]


def _kept(found: re.Match[str]) -> str:
    return found[1] or ("\n" if found[0][0] == "\n" else "")


# Strings first, so that what looks like a comment within one stays.
_STRINGS = (
    r"""["'](?:(?<=\b[fF].)|(?<=\b[fF][rR].)|(?<=\b[rR][fF].))(?!''|"")(?:\\\n|[^\n])*""",  # and the rest of its line
    r"'''(?:\\.|[^\\])*?'''",
    r'"""(?:\\.|[^\\])*?"""',
    r"'(?:\\.|[^'\\\n])*'",
    r'"(?:\\.|[^"\\\n])*"',
)
_BESIDE_CODE = re.compile(rf"({'|'.join(_STRINGS)})|[ \t]*#[^\n]*|\n(?:[ \t]*(?:#[^\n]*)?\n)+", re.DOTALL)


def _named(root: Path) -> list[tuple[str, str]]:
    """The files that count below a folder: names from there, in the order of their parts, each with its path."""
    return [("/".join(parts), path) for parts, path in sorted(_files(os.fspath(root)))]


def _files(folder: str, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The parts of the name of every file that counts, and its path; links are followed nowhere."""
    # scandir knows what an entry is without asking the disk again, as rglob does for every file.
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, (*above, entry.name))
            elif entry.is_file(follow_symlinks=False) and _counts(entry.name):
                yield (*above, entry.name), entry.path


def _content(path: str) -> bytes:
    # Of thousands of files every object of pathlib counts: a run in which nothing has changed does little else.
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read()


def _counts(name: str) -> bool:
    return not name.startswith(".") and not name.endswith((".pyc", ".nbi", ".nbc"))
