"""Results that a run finds made: outcomes that are kept, and what files declare, by keys of all that they depend on.

A key is of the code behind an analysis, of what it reads of the dataset, of the rules, and of the seed. Of a name under
which nothing is kept no key is made before there is something to keep: so on a fresh checkout others compute meanwhile.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replication import paths
from replication.digests import digest_of, folder_digest
from replication.provenance import Cache, Sources

if TYPE_CHECKING:
    from replication.dataset import Dataset, Reads

__all__ = ["OF_THE_REPORT", "Declared", "Results", "rules_digest"]

OF_THE_REPORT = ("checklist.toml", "renamed.toml", "report.toml")
"""Files under `analyses/` that only pages are made from."""
_PACKAGE = Path(__file__).parent
_MACHINERY = (_PACKAGE / "analysis" / "running.py", _PACKAGE / "analysis" / "failures.py")
_DECLARED = "_declared-"  # no analysis is named like that


@dataclass(frozen=True, slots=True)
class Declared:
    """What has to be known of an analysis before it runs: what it reads, and when it is best begun."""

    reads: Reads
    slow: bool
    long: bool
    finding: bool
    parts: tuple[str, ...]

    @classmethod
    def by(cls, path: Path) -> Declared:
        """What a file declares; raises `UserError` when it cannot be loaded."""
        from replication.analysis import load_analysis

        analysis = load_analysis(path)
        # A quick way beside the whole one is there because the whole one takes long.
        long = analysis.long or analysis.quick is not None
        return cls(analysis.reads, analysis.slow, long, analysis.kind == "finding", tuple(analysis.parts))

    @classmethod
    def of_plain(cls, record: Mapping[str, Any]) -> Declared:
        """What was written down of it as plain data, in which a tuple is a list."""
        from replication.dataset import Reads

        slow, long, finding, parts = (record[name] for name in ("slow", "long", "finding", "parts"))
        return cls(Reads.of_plain(record["reads"]), slow, long, finding, tuple(parts))


class Results:
    """What is kept of analyses; without a cache nothing is.

    Parameters
    ----------
    dataset : what they run on.
    seed : of every random number.
    cache : where results are kept.
    """

    def __init__(self, dataset: Dataset, seed: int, cache: Cache | None) -> None:
        self._dataset, self._seed, self._cache = dataset, str(seed), cache
        self._names = cache.names() if cache else frozenset()
        self._sources = Sources(_PACKAGE, paths.analyses_dir(), cache)
        self._rules = rules_digest()
        self._files: dict[str, Path] = {}
        self._declared: dict[str, Declared] = {}
        self._keys: dict[str, str] = {}

    def declared(self, name: str, path: Path) -> Declared:
        """What the file of an analysis declares; what is kept of that where the code behind it is the same.

        Raises
        ------
        UserError
            when the file cannot be loaded.
        """
        self._files[name] = path
        # Loading all findings takes longer than all else that a run does in which nothing is computed.
        known = self._entry(_DECLARED + name, self._code(name)) if _DECLARED + name in self._names else None
        self._declared[name] = Declared.of_plain(known) if known else Declared.by(path)
        return self._declared[name]

    def outcome(self, name: str) -> dict[str, Any] | None:
        """The outcome that is kept of an analysis as it is now."""
        return self._entry(name, self._key(name)) if name in self._names else None

    def make_keys(self) -> None:
        """Make every key, and keep what was found out for them: best done where others compute meanwhile."""
        if self._cache is None:
            return
        for name, declared in self._declared.items():
            self._key(name)
            # A line in work.toml is quickly read, and no code has its digest.
            if _DECLARED + name not in self._names and self._files[name].suffix == ".py":
                self._cache.put(_DECLARED + name, self._code(name), asdict(declared))
        self._sources.keep()

    def keep(self, name: str, outcome: dict[str, Any]) -> None:
        """Keep an outcome under its key, which is its digest."""
        # A failure is not kept: its cause may lie outside everything the key depends on.
        if self._cache is None or outcome.get("failed") or name not in self._declared:
            return
        outcome["digest"] = self._key(name)
        # Nor is what lacks a slow result: a run that computes it has the same key.
        if not outcome["postponed"]:
            self._cache.put(name, outcome["digest"], outcome)

    def _entry(self, name: str, key: str) -> dict[str, Any] | None:
        found = self._cache.get(name, key) if self._cache else None
        return found if isinstance(found, dict) else None

    def _key(self, name: str) -> str:
        from replication.dataset import view_of

        if name not in self._declared:  # it could not be loaded: of what fails nothing is kept
            return ""
        if name not in self._keys:
            view = view_of(self._dataset, self._declared[name].reads)
            self._keys[name] = digest_of(name, view.digest, self._code(name), self._seed)
        return self._keys[name]

    def _code(self, name: str) -> str:
        """The digest of the code behind an analysis and of the rules."""
        # A line in work.toml stands in the view; the code behind it is that of printed answers.
        path = self._files[name]
        return digest_of(self._sources.digest(*_MACHINERY, *([path] if path.suffix == ".py" else [])), self._rules)


def rules_digest() -> str:
    """The digest of what analyses read besides the dataset: the rules under `analyses/`, and pinned results of others.

    Of the rules it is the meaning, so that a comment in one of them computes nothing anew.
    """
    files = sorted(path for path in paths.analyses_dir().glob("*.toml") if path.name not in OF_THE_REPORT)
    rules = [path.read_text(encoding="utf-8") for path in files]
    pinned = folder_digest(paths.pinned_dir()) if paths.pinned_dir().is_dir() else ""
    return digest_of(*(_meaning(text) for text in rules), pinned)


def _meaning(text: str) -> str:
    try:
        return repr(tomllib.loads(text))
    except ValueError:  # who reads it says so
        return text
