"""The only place that knows the names of folders. Everything else is handed paths, or asks here."""

from __future__ import annotations

from pathlib import Path

__all__ = ["analyses_dir", "cache_dir", "data_dir", "pinned_dir", "project_root", "reports_dir"]


def project_root() -> Path:
    """The checkout this package runs from: the folder that holds `replication/`, `data/` and `analyses/`."""
    return Path(__file__).resolve().parent.parent


def data_dir(root: Path | None = None) -> Path:
    """`data/references`: the dataset."""
    return (root or project_root()) / "data" / "references"


def analyses_dir(root: Path | None = None) -> Path:
    """`analyses`: one file per reproduction or finding."""
    return (root or project_root()) / "analyses"


def reports_dir(root: Path | None = None) -> Path:
    """`reports`: `latest/`, one frozen folder per release, and `versions.json`."""
    return (root or project_root()) / "reports"


def cache_dir(root: Path | None = None) -> Path:
    """`.cache`: everything that can be made again (finished outcomes, compiled code, samples)."""
    return (root or project_root()) / ".cache"


def pinned_dir(root: Path | None = None) -> Path:
    """`tests/reference`: results of other packages, pinned with their calls and versions."""
    return (root or project_root()) / "tests" / "reference"
