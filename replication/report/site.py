"""The report folder: pages made from outcomes and the dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from replication.dataset import Dataset

__all__ = ["build_report"]


def build_report(
    folder: Path, outcomes: Sequence[Mapping[str, Any]], dataset: Dataset, run: Mapping[str, object]
) -> None:
    """Write every page of the report into `folder`."""
    (folder / "index.html").write_text("<!doctype html><title>in progress</title>", encoding="utf-8")
