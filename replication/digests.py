"""Digests: the identity of data and code by content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

__all__ = ["digest_of", "folder_digest"]


def digest_of(*parts: str | bytes) -> str:
    """SHA-256 over the parts, each with its length so that borders cannot move.

    >>> digest_of("ab", "c") == digest_of("a", "bc")
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        # Without lengths "ab", "c" and "a", "bc" would be the same bytes.
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def folder_digest(root: Path, pattern: str = "*", skip: Collection[str] = ()) -> str:
    """SHA-256 over the names and bytes of every file below `root`, hidden and compiled ones left out.

    `skip` names files directly below `root` that do not count.
    """
    files = sorted(parts for parts in _files(root) if fnmatchcase(parts[-1], pattern))
    named = [(parts, "/".join(parts)) for parts in files]
    kept = [(name, root.joinpath(*parts)) for parts, name in named if name not in skip]
    return digest_of(*(part for name, path in kept for part in (os.fsencode(name), path.read_bytes())))


def _files(folder: str | Path, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The parts of the path of every file that counts; links are followed nowhere."""
    # scandir knows what an entry is without asking the disk again, as rglob does for every file.
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, (*above, entry.name))
            elif entry.is_file(follow_symlinks=False) and _counts(entry.name):
                yield (*above, entry.name)


def _counts(name: str) -> bool:
    return not name.startswith(".") and not name.endswith((".pyc", ".nbi", ".nbc"))
