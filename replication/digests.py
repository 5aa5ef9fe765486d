"""Digests: the identity of data and code by content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
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
    found = (p for p in root.rglob(pattern) if p.is_file() and not p.is_symlink() and _counts(p))
    files = sorted(p for p in found if p.relative_to(root).as_posix() not in skip)
    return digest_of(*(part for p in files for part in (os.fsencode(p.relative_to(root).as_posix()), p.read_bytes())))


def _counts(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix not in (".pyc", ".nbi", ".nbc")
