"""Where results come from: digests of code, the run's stamp, and the cache of finished results, known by content."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from replication import digests, paths
from replication.digests import digest_of, without_comments
from replication.writing import write_atomic

__all__ = ["Cache", "Sources", "code_digest", "installed", "stamp"]

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
    "results.py",
    "paths.py",
    "writing.py",
)


MOST_ENTRIES = 8
"""Results kept of one name: a few tens of kilobytes each, enough for an afternoon of trying one thing and another."""
# Averages over models of publication bias: seconds each, a few numbers, the same on every machine as far as printed.
# Recovery studies: no data stand behind them, and another machine's draws differ by less than their Monte Carlo errors.
_LASTING = ("bias-", "recovery-")


def code_digest(package: Path, skip: Sequence[str] = _SHOWING) -> str:
    """The digest of the package's Python files that results depend on: not those that show results or add studies."""
    # What only shows results is left out: a new label on a page need not compute everything anew.
    files = sorted(p for p in package.rglob("*.py") if p.relative_to(package).parts[0] not in skip)
    parts = [part for p in files for part in (p.relative_to(package).as_posix().encode(), p.read_bytes())]
    return digest_of(*parts, *_surroundings())


def _surroundings() -> tuple[str, ...]:
    """The versions of Python and of the packages that results depend on."""
    return (*(installed(name) for name in _PACKAGES), platform.python_version())


@dataclass(frozen=True, slots=True)
class _Source:
    """What is known of the text of a Python file: the digest of its code, and which of our modules it imports.

    `imports` are modules with the names taken from them; `lazy` says whether it imports on first use.
    """

    digest: str
    imports: tuple[tuple[str, tuple[str, ...]], ...]
    lazy: bool

    @classmethod
    def of(cls, content: bytes) -> _Source:
        """Read the text of a file."""
        code = without_comments(content.decode("utf-8", "surrogateescape"))
        found = ((module, names.strip("()").split(",")) for module, names in _IMPORT.findall(code))
        imports = tuple((module, tuple(name.split()[0] for name in names if name.split())) for module, names in found)
        return cls(digest_of(code.encode("utf-8", "surrogateescape")), imports, _ON_FIRST_USE in code)


class Sources:
    """The Python files of the package and of a project's analyses, each read once, and which of them a file needs.

    What counts is written in the files: every import of one of these modules anywhere in them, also within functions
    and for type checkers alone; a name taken from a package that imports on first use stands for all of that package.
    So more may be counted than is used, never less. Comments and blank lines do not count.

    With a cache, what is known of a text is kept by its digest: few files are new, and reading all takes a third of a
    second.
    """

    def __init__(self, package: Path, analyses: Path, cache: Cache | None = None) -> None:
        self._package = package
        self._roots = {"replication": package, "analyses": analyses}
        self._cache, self._known = cache, _known_texts(cache)
        self._before = len(self._known)
        self._read: dict[Path, _Source] = {}
        self._digests: dict[Path, str] = {}
        self._imports: dict[Path, frozenset[Path]] = {}
        self._needs: dict[tuple[Path, ...], str] = {}
        self._versions = _surroundings()

    def digest(self, *roots: Path) -> str:
        """The digest of these files with everything they need, and of the packages installed."""
        # Works of which nothing is computed have no file of their own, and all the same roots.
        if roots not in self._needs:
            self._needs[roots] = self._digest_of_needed(roots)
        return self._needs[roots]

    def keep(self) -> None:
        """Keep what is known of the texts for the next run, where one of them was new."""
        if self._cache and len(self._known) > self._before:
            texts = dict(list(self._known.items())[-_MOST_TEXTS:])
            self._cache.put(_TEXTS, _texts_key(), {name: list(astuple(source)) for name, source in texts.items()})

    def _digest_of_needed(self, roots: Sequence[Path]) -> str:
        found, todo = set[Path](), list(roots)
        while todo:
            path = todo.pop()
            if path not in found:
                found.add(path)
                todo += self._needed(path)
        return digest_of(*sorted(self._digest(path) for path in found), *self._versions)

    def _digest(self, path: Path) -> str:
        """The digest of one file, of its place and its code."""
        if path not in self._digests:
            place = os.path.relpath(path, self._package.parent)
            self._digests[path] = digest_of(place, self._source(path).digest)
        return self._digests[path]

    def _source(self, path: Path) -> _Source:
        if path not in self._read:
            content = path.read_bytes()
            name = digest_of(content)
            if name not in self._known:
                self._known[name] = _Source.of(content)
            self._read[path] = self._known[name]
        return self._read[path]

    def _needed(self, path: Path) -> frozenset[Path]:
        """The files among these that a file imports; none for what imports on first use, which `_from` follows."""
        if path not in self._imports:
            source = self._source(path)
            found = set[Path]()
            if not (path.name == "__init__.py" and source.lazy):
                for module, names in source.imports:
                    found |= self._from(module.split("."), names)
            self._imports[path] = frozenset(found)
        return self._imports[path]

    def _from(self, module: Sequence[str], names: Sequence[str]) -> set[Path]:
        """The files behind `from module import names`: those of the modules, and of every package on the way."""
        root, inside = self._roots[module[0]], module[1:]
        place = root.joinpath(*inside)
        parents = [root.joinpath(*inside[:i]) / "__init__.py" for i in range(len(inside))]
        if not place.is_dir():
            return {*(p for p in parents if p.exists()), *(p for p in [place.with_suffix(".py")] if p.exists())}
        opening = place / "__init__.py"
        found = {p for p in (*parents, opening) if p.exists()}
        on_first_use = opening.exists() and self._source(opening).lazy
        for name in names or ["*"]:
            inner = [place / f"{name}.py", place / name / "__init__.py"]
            held = [p for p in inner if p.exists()]
            found.update(held)
            if not held and on_first_use:
                found.update(place.rglob("*.py"))
        return found


_TEXTS = "_code"  # no analysis is named like that
_MOST_TEXTS = 4000  # ten times as many as there are: those of the last few edits
_ON_FIRST_USE = "on_first_use("
# `from replication.x import a, b`, in brackets or not, or `import replication.x`, in code without comments.
_IMPORT = re.compile(
    r"^[ \t]*(?:from|import)[ \t]+((?:replication|analyses)\b[\w.]*)(?:[ \t]+import[ \t]+(\([^)]*\)|[^\n(]*))?",
    re.MULTILINE,
)


def _texts_key() -> str:
    """What decides how a text is read: this file, and what leaves comments out."""
    files = (Path(__file__), Path(digests.__file__))
    return digest_of(platform.python_version(), *(file.read_bytes() for file in files))


def _known_texts(cache: Cache | None) -> dict[str, _Source]:
    """What is known of Python files by the digest of their bytes."""
    found = cache.get(_TEXTS, _texts_key()) if cache else None
    if not isinstance(found, dict):
        return {}
    return {
        name: _Source(digest, tuple((module, tuple(names)) for module, names in imports), lazy)
        for name, (digest, imports, lazy) in found.items()
    }


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
        "packages": {name: installed(name) for name in _PACKAGES},
        **_commit(paths.project_root()),
    }


def _commit(folder: Path) -> dict[str, str]:
    """The commit that a folder stands at and its day, which is the same for everybody; nothing where git knows none."""
    command = ["git", "-C", str(folder), "log", "-1", "--format=%H %cs"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(("commit", "commit_date"), found, strict=True))


class Cache:
    """Finished results by content: the key is a digest of everything they were made from.

    An entry carries the digest of its own content, too: one that was edited or damaged counts as none.

    Parameters
    ----------
    folder : where entries lie.
    fresh : whether nothing stored is used; what is computed is stored all the same.
    kept : folder under version control with slow results that stand for those of every machine; read where the own
        folder has none.
    renew : whether such results are written to `kept`, too.
    """

    def __init__(self, folder: Path, *, fresh: bool = False, kept: Path | None = None, renew: bool = False) -> None:
        self._folder = folder
        self._fresh = fresh
        self._kept = kept
        self._renew = renew

    def names(self) -> frozenset[str]:
        """The names of which a result may be found under some key."""
        folders = [] if self._fresh else [self._folder / "outcomes", *filter(None, [self._kept])]
        found = (file.name for folder in folders if folder.is_dir() for file in folder.iterdir())
        return frozenset(name.partition(".")[0] for name in found)

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
        """Store a result, and forget the oldest of the same name; where nothing can be stored, nothing is."""
        path = self._path(name, key)
        self._keep(name, key, result)
        with contextlib.suppress(OSError):  # a checkout nobody may write to: everything is computed each time
            path.parent.mkdir(parents=True, exist_ok=True)
            # Several are held, so that an edit that is taken back costs nothing.
            stored = sorted(path.parent.glob(f"{name}.*.json"), key=lambda entry: entry.stat().st_mtime)
            for old in (*stored[: max(0, len(stored) - MOST_ENTRIES + 1)], *path.parent.glob(f".{name}.*.half")):
                old.unlink(missing_ok=True)
            write_atomic(path, _entry(key, json.dumps(result, ensure_ascii=False)))

    def _keep(self, name: str, key: str, result: object) -> None:
        """Write a lasting result where it is kept under version control, one file per name."""
        # Only what another machine would not say otherwise may stand under version control.
        if self._renew and self._kept is not None and name.startswith(_LASTING):
            self._kept.mkdir(parents=True, exist_ok=True)
            text = _entry(key, json.dumps(result, ensure_ascii=False, indent=1))
            write_atomic(self._kept_path(self._kept, name), text + "\n")

    def _path(self, name: str, key: str) -> Path:
        return self._folder / "outcomes" / f"{name}.{key[:16]}.json"

    @staticmethod
    def _kept_path(kept: Path, name: str) -> Path:
        return kept / f"{name}.json"


_RESULT = ', "result": '


def _entry(key: str, result: str) -> str:
    """What is written for a result, given as JSON: `_read_entry` takes it back only with this key and unchanged."""
    about = json.dumps({"key": key, "content": digest_of(result)})
    return f"{about[:-1]}{_RESULT}{result}}}"


def _read_entry(path: Path, key: str) -> object | None:
    """What an entry holds; None where it is missing, damaged, edited, or made from other things."""
    try:
        about, _, rest = path.read_text(encoding="utf-8").rstrip("\n").partition(_RESULT)
        result = rest[:-1]
        # The text as it stands is digested: of all outcomes to write them once more would take longer than to read
        # them. The key is cut in the file's name, so the whole one is compared here.
        whole = json.loads(about + "}") == {"key": key, "content": digest_of(result)}
        return json.loads(result) if whole else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


@cache
def installed(package: str) -> str:
    """The version of a package; a word where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
