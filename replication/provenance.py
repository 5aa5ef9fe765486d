"""Where results come from: digests of code, the run's stamp, and the cache of finished results, known by content."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from replication.digests import digest_of
from replication.writing import write_atomic

__all__ = ["Cache", "code_digest", "stamp"]

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
    "writing.py",
)


# Averages over models of publication bias: seconds each, a few numbers, the same on every machine as far as printed.
_LASTING = ("bias-",)


def code_digest(package: Path, skip: Sequence[str] = _SHOWING) -> str:
    """The digest of the package's Python files that results depend on: not those that show results or add studies."""
    # What only shows results is left out: a new label on a page need not compute everything anew.
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
    """Finished results by content: the key is a digest of everything they were made from.

    An entry carries the digest of its own content, too: one that was edited or damaged counts as none.

    Parameters
    ----------
    folder : where entries lie.
    fresh : whether nothing stored is used; what is computed is stored all the same.
    kept : folder under version control with slow results that are the same on every machine; read where the own
        folder has none.
    renew : whether such results are written to `kept`, too.
    """

    def __init__(self, folder: Path, *, fresh: bool = False, kept: Path | None = None, renew: bool = False) -> None:
        self._folder = folder
        self._fresh = fresh
        self._kept = kept
        self._renew = renew

    def get(self, name: str, key: str) -> object | None:
        """The stored result, or None."""
        if self._fresh:
            return None
        result = _read_entry(self._path(name, key), key)
        if result is None and self._kept is not None:
            result = _read_entry(self._kept_path(self._kept, name), key)
        if result is not None:
            self._keep(name, key, result)
        return result

    def put(self, name: str, key: str, result: object) -> None:
        """Store a result, and forget older results of the same name; where nothing can be stored, nothing is."""
        path = self._path(name, key)
        self._keep(name, key, result)
        with contextlib.suppress(OSError):  # a checkout nobody may write to: everything is computed each time
            path.parent.mkdir(parents=True, exist_ok=True)
            for old in (*path.parent.glob(f"{name}.*.json"), *path.parent.glob(f".{name}.*.half")):
                old.unlink(missing_ok=True)
            write_atomic(path, json.dumps(_entry(key, result), ensure_ascii=False))

    def _keep(self, name: str, key: str, result: object) -> None:
        """Write a lasting result where it is kept under version control, one file per name."""
        # Only what is the same on every machine may stand under version control.
        if self._renew and self._kept is not None and name.startswith(_LASTING):
            self._kept.mkdir(parents=True, exist_ok=True)
            text = json.dumps(_entry(key, result), ensure_ascii=False, indent=1)
            write_atomic(self._kept_path(self._kept, name), text + "\n")

    def _path(self, name: str, key: str) -> Path:
        return self._folder / "outcomes" / f"{name}.{key[:16]}.json"

    @staticmethod
    def _kept_path(kept: Path, name: str) -> Path:
        return kept / f"{name}.json"


def _entry(key: str, result: object) -> dict[str, object]:
    """What is written for a result: `_read_entry` takes it back only with this key and unchanged."""
    return {"key": key, "content": _content_digest(result), "result": result}


def _read_entry(path: Path, key: str) -> object | None:
    """What an entry holds; None where it is missing, damaged, edited, or made from other things."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        result: object = entry["result"]
        # The key is cut in the file's name, so the whole one is compared here.
        whole = entry["key"] == key and entry["content"] == _content_digest(result)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return result if whole else None


def _content_digest(result: object) -> str:
    return digest_of(json.dumps(result, ensure_ascii=False, sort_keys=True))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
