"""A folder to practise in: an invented article, and a copy of the dataset in which nothing can be spoilt."""

from __future__ import annotations

import secrets
import shutil
from importlib import resources
from pathlib import Path

from replication.errors import UserError

__all__ = ["PRACTICE_FILES", "make_practice"]

PRACTICE_FILES = ("article.md", "table.txt", "vikmoen2025.bib")
"""The invented article, its table as one would paste it, and its reference."""


def make_practice(root: Path, folder: Path) -> Path:
    """Write the article, its table and its reference into a new folder, with a copy of the dataset beside them.

    Raises
    ------
    UserError
        when there is something of that name already.
    """
    if folder.exists():
        raise UserError(f"{folder} is there already; delete it to begin anew, or name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder: a rename is one step only within a disk.
    building = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        building.mkdir()
        kept = resources.files("replication.study").joinpath("practice")
        for name in PRACTICE_FILES:
            text = kept.joinpath(name).read_text(encoding="utf-8")
            (building / name).write_text(text, encoding="utf-8", newline="\n")
        shutil.copytree(root, building / "references", ignore=shutil.ignore_patterns(".*"))
        building.rename(folder)  # whole, or not there at all
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder
