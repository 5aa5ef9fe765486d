"""The only place that knows the names of folders. Everything else is handed paths, or asks here.

A project is a folder with `data/references` (the dataset) and `analyses/` (protocol, findings, report settings): the
checkout this package lies in, or a topic of one's own, made by `python -m replication.new_topic`. Installed away from
any, the package writes nothing beside itself: reports go to the folder one is in, what can be made again to the user's
own cache.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replication.errors import UserError

__all__ = [
    "analyses_dir",
    "cache_dir",
    "data_dir",
    "dataset_of",
    "is_project",
    "kept_dir",
    "pinned_dir",
    "project_root",
    "reports_dir",
    "work_on",
    "working_on",
]

_APP = "tsr-replication"
_PROJECT = "REPLICATION_PROJECT"
"""The environment variable that names the project. An environment and no variable of this module: a worker process,
forked or started anew, inherits it, so that all of one command reads one protocol."""

# Resolved once: where a package lies does not change, and every look at a rule of the project asks for its root.
_CHECKOUT = Path(__file__).resolve().parent.parent


def project_root() -> Path:
    """The project: the folder that holds `data/references` and `analyses/`.

    That is the one a command was given (`--data`), else the one this package lies in, else the folder one is in, or the
    nearest above it that is one; where there is none, the folder one is in.
    """
    if os.environ.get(_PROJECT):
        return Path(os.environ[_PROJECT])
    # The package's own checkout first: a command means the same in whatever folder it is typed.
    if is_project(_CHECKOUT):
        return _CHECKOUT
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if is_project(folder)), here)


def is_project(folder: Path) -> bool:
    """Whether a folder holds a dataset and analyses."""
    return (folder / "analyses").is_dir() and (folder / "data" / "references").is_dir()


def work_on(project: Path) -> None:
    """Make `project` the one that this process and its workers read and write."""
    os.environ[_PROJECT] = str(project.resolve())


@contextmanager
def working_on(project: Path) -> Iterator[None]:
    """`work_on` for the length of a block."""
    # Put back as it was: the next command of this process may be about another project.
    before = os.environ.get(_PROJECT, "")
    work_on(project)
    try:
        yield
    finally:
        os.environ[_PROJECT] = before


def dataset_of(given: Path | None) -> Path:
    """The dataset that a command's `--data` means; a whole project given there is worked on from then on.

    A folder of works alone is read with the analyses of the project one is in. Raises `UserError` where none is given
    and none is around.
    """
    if given is None:
        if not data_dir().is_dir():
            raise UserError(
                f"there is no project in {project_root()} or above it; name one with --data DIR "
                f"(python -m replication.new_topic DIR makes one)"
            )
        return data_dir()
    if is_project(given):
        work_on(given)
        return data_dir()
    return given


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
    # An installed package has no checkout to write into.
    return root / ".cache" if is_project(root) else _user_cache() / _APP


def kept_dir(root: Path | None = None) -> Path:
    """`analyses/kept`: slow results that a fresh checkout need not compute, by the digest of what they rest on."""
    return (root or project_root()) / "analyses" / "kept"


def pinned_dir(root: Path | None = None) -> Path:
    """`tests/reference`: results of other packages, pinned with their calls and versions."""
    return (root or project_root()) / "tests" / "reference"


def _user_cache() -> Path:
    """Where programs keep what can be made again, by the custom of the system."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
