"""The editor's bundle: everything to check the report, in one zip with a README in the order of the AEA template."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

from replication import paths
from replication.digests import digest_of_each
from replication.report import templating
from replication.report.archive import LICENCE, Archive, Record
from replication.report.gallery import as_csv
from replication.report.making import File, Given, Plan
from replication.report.pages import sources
from replication.report.templating import template_digests
from replication.report.words import Words

__all__ = ["make_bundle", "plan"]

_HERE = Path(__file__).parent
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed date: the same content gives the same zip
_TAKEN = ("data", "outcomes", "figures")
_SKIPPED = (".html",)
_TESTS = {"knha": "knha", "z": "z", "t": "t"}


def plan(folder: Path) -> Plan:
    """The bundle of the report in a folder, whose data, outcomes and figures are written."""
    templates, lock = template_digests(), _lock()
    files = (part for path in _files(folder) for part in (path.relative_to(folder).as_posix(), path.read_bytes()))
    made_by = templates["bundle.md"], templates["check.R"], lock.read_bytes() if lock.exists() else b""
    read = digest_of_each(chain(made_by, files))

    def make(given: Given) -> Iterator[File]:
        yield "replication-bundle.zip", make_bundle(folder, given.archive, given.spoken["en"])

    return Plan("replication-bundle.zip", "en", make, outside=read)


def _lock() -> Path:
    return paths.project_root() / "requirements.lock"


def make_bundle(folder: Path, archive: Archive, words: Words) -> bytes:
    """The zip of a finished report folder.

    Parameters
    ----------
    folder : the report, with data, outcomes and figures written.
    archive : what it shows.
    words : the words of the README's list of tables and figures.
    """
    pools = list(_pools(archive))
    files: dict[str, bytes | Path] = {
        "README.md": _readme(archive, words, folder).encode(),
        "check.R": (_HERE / "templates" / "check.R").read_bytes(),
        "pools.csv": _pools_csv(pools).encode(),
        "pool_rows.csv": as_csv(("pool", "effect_id"), [(n, r) for n, e, _ in pools for r in e["rows"]]).encode(),
        "seed.txt": f"{archive.run.get('seed', '')}\n".encode(),
        **_found(folder),
        **_origins(archive),
        **{path: _draws_csv(draws).encode() for path, draws in _draws(archive)},
    }
    if _lock().exists():
        files["requirements.lock"] = _lock().read_bytes()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
        # Sorted, as the date is fixed: equal content must give equal bytes.
        for name in sorted(files):
            with bundle.open(_entry(name), "w") as entry, _opened(files[name]) as content:
                shutil.copyfileobj(content, entry, _AT_ONCE)
    return stream.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(f"replication-bundle/{name}", _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    # Without it some programs unpack files that nobody may read.
    entry.external_attr = 0o644 << 16
    return entry


def _found(folder: Path) -> dict[str, Path]:
    """The report's data, outcomes and figures, by their names in the bundle."""
    # A zip compresses by itself, and check.R and the list of tables name the plain files.
    return {path.relative_to(folder).as_posix().removesuffix(".gz"): path for path in _files(folder)}


_AT_ONCE = 1 << 20  # bytes: all files together are hundreds of megabytes


def _opened(content: bytes | Path) -> IO[bytes]:
    """The bytes of a file as it stands in the bundle, to be read when it is packed."""
    if isinstance(content, bytes):
        return io.BytesIO(content)
    packed = content.name.endswith((".csv.gz", ".json.gz"))
    return cast(IO[bytes], gzip.open(content)) if packed else content.open("rb")


def _files(folder: Path) -> Iterator[Path]:
    """Where these lie; narrow drawings are for screens only."""
    for path in (path for name in _TAKEN for path in sorted((folder / name).rglob("*"))):
        if path.is_file() and path.suffix not in _SKIPPED and not path.stem.endswith("-narrow"):
            yield path


def _origins(archive: Archive) -> dict[str, bytes]:
    """Where numbers come from that were not read in a work itself: recipes, notes of the works, second-hand numbers."""
    recipes = {
        f"recipes/{work}.json": json.dumps([r.model_dump(exclude_defaults=True) for r in found], indent=1) + "\n"
        for work, found in archive.dataset.recipes.items()
    }
    dataset = archive.dataset
    named = {**dataset.notes, **{f"on-several-works/{name}": text for name, text in dataset.common_notes.items()}}
    notes = {f"notes/{name}.md": text.rstrip() + "\n" for name, text in named.items()}
    quoted = {"second_hand.csv": as_csv(sources.COLUMNS, sources.as_table(archive))}
    return {name: text.encode() for name, text in (recipes | notes | quoted).items()}


def _draws(archive: Archive) -> Iterator[tuple[str, Record]]:
    """The joint draws of every posterior, by the path of their file."""
    for outcome in archive.outcomes:
        # Outcomes that were read back from a report have none: only a run that computes them holds them.
        for draws in outcome.get("draws", ()):
            yield f"draws/{outcome['id']}/{draws['id']}.csv", draws


def _draws_csv(draws: Record) -> str:
    """A line a draw: chain, draw and the quantities, as `arviz` and R's `posterior` take them."""
    names, columns = zip(*draws["columns"].items(), strict=True)
    length = len(columns[0]) // draws["chains"]
    places = ((n // length, n % length) for n in range(len(columns[0])))
    return as_csv(
        ("chain", "draw", *names), [(*at, *row) for at, row in zip(places, zip(*columns, strict=True), strict=True)]
    )


def _pools(archive: Archive) -> Iterator[tuple[str, Record, Mapping[str, Any]]]:
    """The plain random-effects pools of reproductions, one row per sample as it stands: metafor can check them.

    Pools of findings may rest on means of rows, or on rows with their sign turned; the rows alone do not say so.
    """
    for outcome in (o for o in archive.outcomes if o["kind"] == "reproduction"):
        for estimate in outcome["estimates"]:
            method = estimate["method"]
            plain = estimate["metric"] == "r" and "tau2" in method and method.get("test") in _TESTS
            # One row per sample: only then are the rows of the list the very effects that were pooled.
            if plain and estimate["rows"] and estimate["k"] == len(estimate["rows"]) == estimate["samples"]:
                yield f"{outcome['id']}/{estimate['id']}", estimate, method


def _pools_csv(pools: list[tuple[str, Record, Mapping[str, Any]]]) -> str:
    rows = [(name, m["tau2"], _TESTS[m["test"]], e["value"], e["low"], e["high"]) for name, e, m in pools]
    return as_csv(("pool", "method", "test", "value", "low", "high"), rows)


def _readme(archive: Archive, words: Words, folder: Path) -> str:
    return (
        templating.environment(escaped=False)
        .get_template("bundle.md")
        .render(
            archive=archive,
            words=words,
            draws=list(_draws(archive)),
            licence=LICENCE,
            say=words.say,
            files=sorted(path.name.removesuffix(".gz") for path in (folder / "data").glob("*.csv*")),
            surveys=[work for work in archive.dataset.works.values() if work.role == "survey"],
        )
    )
