"""A report on disk: read back, found whole or damaged, and compared with what is computed now."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replication.digests import folder_digest
from replication.errors import UserError
from replication.writing import gzip_packer

__all__ = [
    "Stored",
    "differences",
    "files_digest",
    "outcome_path",
    "outcome_paths",
    "read_outcome",
    "read_stored",
    "signature_of",
    "stored_or_none",
    "write_outcome",
]

_RELATIVE = 1e-8  # the last digits of linear algebra differ between machines
_NEEDED = ("id", "kind", "title", "question", "checks", "estimates", "tables", "figures", "sentences", "exclusions")

Outcome = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """The run record and the outcomes of a report; `whole` says whether its files are those that were written."""

    run: Mapping[str, Any]
    outcomes: tuple[Outcome, ...]
    whole: bool

    @property
    def left_out(self) -> frozenset[str]:
        """The analyses the report was made without."""
        return frozenset(self.run.get("left_out", ()))

    @property
    def failed(self) -> bool:
        """Whether an analysis failed when it was made."""
        return bool(self.run.get("failed"))

    @property
    def complete(self) -> bool:
        """Whether nothing failed and no slow result was postponed: a run of the same input would find nothing more."""
        return not self.failed and not any(outcome.get("postponed") for outcome in self.outcomes)


def read_stored(out: Path) -> Stored | None:
    """The report in `out`, or None when there is none.

    Raises
    ------
    UserError
        when it is damaged; the message names the file.
    """
    if not (out / "run.json").exists():
        return None
    run = _read(out / "run.json")
    names = run.get("analyses")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _damaged(out / "run.json", "it names no analyses")
    outcomes, found = [], outcome_paths(out)
    for name in names:
        path = found.get(name, out / "outcomes" / f"{name}.json")
        outcome = _read(path)
        missing = [field for field in _NEEDED if field not in outcome]
        if missing:
            raise _damaged(path, f"it lacks {', '.join(missing)}")
        outcomes.append(outcome)
    return Stored(run, tuple(outcomes), run.get("files") == files_digest(out))


def stored_or_none(out: Path) -> Stored | None:
    """The report in `out`; None when there is none, or a damaged one."""
    try:
        return read_stored(out)
    except UserError:
        return None


def signature_of(out: Path) -> str:
    """The digest of everything the report in `out` was made from; empty when there is none, or a damaged one."""
    try:
        return str(_read(out / "run.json").get("signature", ""))
    except UserError:
        return ""


def files_digest(folder: Path) -> str:
    """The digest of every file of a report but its run record."""
    return folder_digest(folder, skip=("run.json",))


def differences(before: Outcome | None, after: Outcome) -> Iterator[str]:
    """Every place where a stored outcome differs from the one computed now, numbers beyond a relative 1e-8."""
    name = str(after["id"])
    if before is None:
        yield f"{name}: not in the stored report"
    else:
        yield from _differences(_comparable(before), _comparable(after), name)


def outcome_path(outcome: Outcome) -> str:
    """Where a report holds an outcome: findings compressed, as they grow with the works; the rest as plain JSON.

    By kind and not by size, so that an address does not change with a row.
    """
    return f"outcomes/{outcome['id']}.json{'.gz' if outcome['kind'] == 'finding' else ''}"


def outcome_paths(report: Path) -> dict[str, Path]:
    """The files of a report's outcomes by id, in their order: those of earlier versions are all plain."""
    paths = sorted((report / "outcomes").glob("*.json*"))
    return {path.name.removesuffix(".gz").removesuffix(".json"): path for path in paths}


def write_outcome(report: Path, outcome: Outcome) -> None:
    """Write an outcome into a report's folder, in one line; the same outcome gives the same bytes."""
    path = report / outcome_path(outcome)
    path.parent.mkdir(parents=True, exist_ok=True)
    packer = gzip_packer() if path.suffix == ".gz" else None
    with path.open("wb") as file:
        for text in _as_json(_without_draws(outcome)):
            file.write(packer.compress(text.encode()) if packer else text.encode())
        if packer:
            file.write(packer.flush())


def _as_json(outcome: Mapping[str, Any]) -> Iterator[str]:
    """An outcome as one line of JSON, item by item: with very many rows the whole text is hundreds of megabytes."""
    dumped = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
    for number, (name, value) in enumerate(outcome.items()):
        yield f"{',' if number else '{'}{dumped(name)}:"
        if isinstance(value, list | tuple):
            yield "["
            for place, item in enumerate(value):
                yield f"{',' if place else ''}{dumped(item)}"
            yield "]"
        else:
            yield dumped(value)
    yield "}\n"


def read_outcome(path: Path) -> Any:
    """What a JSON file of a report holds, plain or compressed."""
    content = path.read_bytes()
    return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)


def _without_draws(outcome: Outcome) -> dict[str, Any]:
    # Draws of posteriors lie in the bundle alone, where nobody has to load them.
    return {name: value for name, value in outcome.items() if name != "draws"}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_outcome(path)
    except FileNotFoundError:
        raise _damaged(path, "it is missing") from None
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise _damaged(path, f"it cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise _damaged(path, "it is no record of fields")
    return content


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path} is damaged: {why}; run without --check to make the report anew")


def _comparable(outcome: Outcome) -> dict[str, Any]:
    # The digest changes with any line of code; what is asked is whether a number did.
    return {name: value for name, value in _without_draws(outcome).items() if name != "digest"}


def _differences(before: object, after: object, place: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _differences(before.get(key), after.get(key), f"{place}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (a, b) in enumerate(zip(before, after, strict=True)):
            yield from _differences(a, b, f"{place}[{number}]")
    elif isinstance(before, int | float) and isinstance(after, int | float):
        # abs_tol for numbers that are 0 but for rounding, of which no relative part can be taken.
        if not math.isclose(before, after, rel_tol=_RELATIVE, abs_tol=1e-12):
            yield f"{place}: stored {before!r}, now {after!r}"
    elif before != after:
        yield f"{place}: stored {str(before)[:80]!r}, now {str(after)[:80]!r}"
