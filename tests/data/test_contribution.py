"""A contribution that passes `check` passes the tests of the dataset: two works are added to a copy and tested there.

One work brings bullying others, which no study of the dataset has measured yet; the other shares its schools.
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from replication import paths
from replication.dataset import Dataset, load_dataset
from replication.study.checking import check_study
from replication.study.new import next_version
from replication.study.submission import Rows, Submission, take_submission
from tests.data import test_dataset_counts as counts

TABLE = [
    ("negative", "positive", "-.34"), ("positive", "engagement", ".41"), ("positive", "perpetration", "-.18"),
    ("negative", "engagement", "-.27"), ("negative", "perpetration", ".29"), ("engagement", "perpetration", "-.21"),
]  # fmt: skip
RECORD = {"author": "Vik, Anne and Moen, Bo", "year": "2025"}


def work(key: str, title: str, sample: dict[str, str], shift: int) -> Submission:
    """A work of one sample with the rows of a printed matrix, moved by some hundredths."""
    sides = {"positive": "relationship", "negative": "relationship"}
    rows = []
    for a, b, value in TABLE:
        flags = {("relationship", "relationship"): "rel_x_rel", ("outcome", "outcome"): "out_x_out"}
        moved = f"{float(value) + shift / 100:.2f}".replace("0.", ".")
        rows.append(
            {
                "sample_id": sample["sample_id"], "var_a": a, "var_b": b, "statistic": "r", "value": moved,
                "n": sample["n"], "informant_a": "student", "informant_b": "student", "source": "doi:10/x",
                "locator": "Table 1", "reading": "table", "design": "cross-sectional", "measure_a": a, "measure_b": b,
                "flags": flags.get((sides.get(a, "outcome"), sides.get(b, "outcome")), ""),
            }
        )  # fmt: skip
    tables = {"samples.csv": Rows((sample,), (3,)), "effects.csv": Rows(tuple(rows), tuple(range(3, 9)))}
    return Submission(f"{key}.xlsx", {**RECORD, "key": key, "title": title}, tables)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The real dataset with two more works, which nothing is asked about."""
    root = tmp_path_factory.mktemp("contribution") / "references"
    shutil.copytree(paths.data_dir(), root)
    common = {"unit": "student", "country": "Norway", "school_level": "secondary", "age_mean": "13.6"}
    first = {**common, "sample_id": "vikmoen2025_s1", "n": "214"}
    second = {**common, "sample_id": "moenvik2026_s1", "n": "187", "overlaps": "vikmoen2025_s1", "shared_n": "0"}
    take_submission(root, work("vikmoen2025", "Closeness and bullying in grade 8: invented", first, 0))
    take_submission(root, work("moenvik2026", "A second year in the same schools: invented", second, 3))
    yield root


def test_the_check_has_nothing_to_say(extended: Path) -> None:
    for key in ("vikmoen2025", "moenvik2026", ""):
        report = check_study(extended, key)
        assert (report.errors, report.questions) == ((), ()), key


def cases() -> Iterator[Any]:
    """Every test of the counts, with each of its parameters."""
    for name, test in vars(counts).items():
        if not name.startswith("test_"):
            continue
        marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
        values = list(marks[0].args[1]) if marks else [None]
        for value in values:
            given = {marks[0].args[0]: value} if marks else {}
            yield pytest.param(test, given, id=f"{name}-{value}")


@pytest.fixture(scope="module")
def added(extended: Path) -> Dataset:
    """The extended dataset as of the version in which its new rows count."""
    dataset = load_dataset(extended)
    coming = next_version(dataset.version)
    (extended / "VERSION").write_text(coming + "\n", encoding="utf-8")
    later = load_dataset(extended)
    assert set(later.effects["work"]) - set(dataset.as_of(dataset.version).effects["work"]) >= {
        "vikmoen2025",
        "moenvik2026",
    }
    return later


@pytest.mark.parametrize(("test", "given"), list(cases()))
def test_the_counts_of_released_versions_stay(added: Dataset, test: Callable[..., None], given: dict[str, Any]) -> None:
    wanted = inspect.signature(test).parameters
    known = {"dataset": added, "pinned": added.as_of(counts.PINNED)}
    test(**{name: known[name] for name in wanted if name in known}, **given)


def test_overlap_and_bullying_others_are_there(added: Dataset) -> None:
    rows = added.effects
    assert (rows["var_b"] == "perpetration").sum() >= 6
    samples = added.samples.set_index("sample_id")
    assert samples.loc["moenvik2026_s1", "overlaps"] == "vikmoen2025_s1"
