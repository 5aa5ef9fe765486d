"""The only place that knows the names of folders. Everything else is handed paths, or asks here.

In a checkout everything lies in it. Installed away from one, the package writes nothing beside itself: reports go to
the folder one is in, what can be made again to the user's own cache.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["analyses_dir", "cache_dir", "data_dir", "kept_dir", "pinned_dir", "project_root", "reports_dir"]

_APP = "tsr-replication"


def project_root() -> Path:
    """The checkout: the folder that holds `data/references` and `analyses/`.

    That is the one this package lies in, else the folder one is in, or the nearest above it that is one; where there is
    none, the folder one is in.
    """
    here = Path.cwd()
    # The package's own checkout first: a command means the same in whatever folder it is typed.
    around = (Path(__file__).resolve().parent.parent, here, *here.parents)
    return next((folder for folder in around if _is_checkout(folder)), here)


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
    """Everything that can be made again (finished outcomes, compiled code, samples): `.cache` of a checkout.

    Away from one it is the user's own cache, never the folder the package is installed in.
    """
    root = root or project_root()
    return root / ".cache" if _is_checkout(root) else _user_cache() / _APP


def kept_dir(root: Path | None = None) -> Path:
    """`analyses/kept`: slow results that a fresh checkout need not compute, by the digest of what they rest on."""
    return (root or project_root()) / "analyses" / "kept"


def pinned_dir(root: Path | None = None) -> Path:
    """`tests/reference`: results of other packages, pinned with their calls and versions."""
    return (root or project_root()) / "tests" / "reference"


def _is_checkout(folder: Path) -> bool:
    return (folder / "analyses").is_dir() and (folder / "data" / "references").is_dir()


def _user_cache() -> Path:
    """Where programs keep what can be made again, by the custom of the system."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
