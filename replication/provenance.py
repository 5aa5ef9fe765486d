"""Digests, the run's stamp, the cache of finished outcomes, and writing that is whole or not at all.

A report folder is built beside the old one and swapped in by one rename, so a reader, or a run that is killed,
always finds a whole report.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from replication.digests import digest_of
from replication.errors import UserError

__all__ = ["Cache", "check_target", "code_digest", "exclusive", "replace_folder", "stamp", "write_atomic"]

_PACKAGES = ("numpy", "scipy", "pandas", "statsmodels", "pymc", "nutpie", "arviz", "numba")
_SHOWING = (
    "report",
    "study",
    "terminal.py",
    "run.py",
    "command_line.py",
    "roles.py",
    "workflow.py",
    "workers.py",
    "provenance.py",
    "paths.py",
)
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux's renameat2
_AT_FDCWD = -100


def code_digest(package: Path, skip: Sequence[str] = _SHOWING) -> str:
    """The digest of the package's Python files that results depend on: not those that show results or add studies."""
    files = sorted(p for p in package.rglob("*.py") if p.relative_to(package).parts[0] not in skip)
    parts = [part for p in files for part in (p.relative_to(package).as_posix().encode(), p.read_bytes())]
    return digest_of(*parts, *(_version(name) for name in _PACKAGES), platform.python_version())


def stamp(dataset_version: str, dataset_digest: str, seed: int) -> dict[str, object]:
    """When, where and with what a report was made. The only part of a report that differs from run to run."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "dataset_version": dataset_version,
        "dataset_digest": dataset_digest,
        "seed": seed,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count() or 1,
        "packages": {name: _version(name) for name in _PACKAGES},
    }


class Cache:
    """Finished results by content: the key is a digest of everything they were made from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str, key: str) -> object | None:
        """The stored result, or None; a damaged entry counts as none."""
        try:
            entry = json.loads(self._path(name, key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return entry.get("result") if isinstance(entry, dict) and entry.get("key") == key else None

    def put(self, name: str, key: str, result: object) -> None:
        """Store a result, and forget older results of the same name; where nothing can be stored, nothing is."""
        path = self._path(name, key)
        with contextlib.suppress(OSError):  # a checkout nobody may write to: everything is computed each time
            path.parent.mkdir(parents=True, exist_ok=True)
            for old in path.parent.glob(f"{name}.*.json"):
                old.unlink(missing_ok=True)
            write_atomic(path, json.dumps({"key": key, "result": result}, ensure_ascii=False))

    def _path(self, name: str, key: str) -> Path:
        return self._folder / "outcomes" / f"{name}.{key[:16]}.json"


def write_atomic(path: Path, text: str) -> None:
    """Write a whole file or nothing: into a temporary file beside it, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)  # noqa: PTH101
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Hold the lock of a folder while writing to it, so that two runs write one after the other.

    The lock file lies among the system's temporary files, so none is left beside reports.
    """
    lock = Path(tempfile.gettempdir()) / f"tsr-replication-{digest_of(os.fspath(target.resolve()))[:16]}.lock"
    with lock.open("w") as stream:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def replace_folder(target: Path, mark: str = "run.json") -> Iterator[Path]:
    """A new, empty folder to fill; on success it takes the place of `target` in one step, on failure it vanishes.

    `mark` is the file by which a folder written by this program is known.

    Raises
    ------
    UserError
        when `target` exists and lacks the mark, so that a mistyped `--out` deletes nothing of the user's.
    """
    check_target(target, mark)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    building = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.building."))
    building.chmod(0o755)
    try:
        yield building
        _swap(building, target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def check_target(target: Path, mark: str = "run.json") -> None:
    """Whether a folder can be written to `target`: said before anything is computed.

    Raises
    ------
    UserError
        when it is no folder, holds what this program did not write, or its place cannot be written to.
    """
    above = next((parent for parent in target.parents if parent.exists()), target)
    if not above.is_dir():
        raise UserError(f"{above} is not a folder, so {target} cannot be made in it; choose another --out")
    if not os.access(above, os.W_OK):
        raise UserError(f"{above} cannot be written to; choose another --out")
    _refuse_foreign(target, mark)


def _refuse_foreign(target: Path, mark: str) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UserError(f"{target} is not a folder; choose another --out")
    if target.is_dir() and any(target.iterdir()) and not (target / mark).exists():
        what = "a report" if mark == "run.json" else "an export"
        raise UserError(
            f"{target} holds files that are not {what}; choose an empty or new folder for --out, or delete it"
        )


def _sweep(target: Path) -> None:
    """Remove what a killed run left behind, once it is a day old (a run in progress is younger)."""
    for left in target.parent.glob(f".{target.name}.building.*"):
        if time.time() - left.stat().st_mtime > 86_400:
            shutil.rmtree(left, ignore_errors=True)


def _swap(building: Path, target: Path) -> None:
    """Put `building` in the place of `target`: an atomic exchange where the system has one, else two renames."""
    if not target.exists():
        building.rename(target)
    elif not _exchange(building, target):
        aside = building.with_name(building.name.replace("building", "old"))
        target.rename(aside)
        building.rename(target)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(a: Path, b: Path) -> bool:
    """Linux's atomic exchange of two folders; False where it is not available."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    done: int = renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), ctypes.c_uint(_EXCHANGE))
    return done == 0


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
