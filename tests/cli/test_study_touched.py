"""The check of a corrected claim names the analyses that ask for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from replication import paths
from replication.dataset import Dataset
from replication.stored import write_outcome
from replication.study.touched import touched_analyses, touched_lines
from tests.data.small import Small

HEADER = "claim_id,quantity,statistic,printed,locator,reading,since,until,replaced_by\n"
ROW = "alpha2020-00{0},pooled correlation,r,.34,abstract,abstract,{1},{2},{3}\n"


@pytest.fixture
def corrected(tmp_path: Path) -> Dataset:
    small = Small.build(tmp_path / "references", paths.data_dir())
    small.write("VERSION", "1.1.0\n")
    rows = ROW.format(1, "1.0.0", "1.1.0", "alpha2020-002") + ROW.format(2, "1.1.0", "", "")
    small.write("alpha2020/claims.csv", HEADER + rows + ROW.format(3, "1.0.0", "1.1.0", ""))
    found = small.check()
    assert found.dataset is not None, found.problems
    return found.dataset


def analyses(folder: Path) -> Path:
    folder.mkdir()
    (folder / "engagement.py").write_text('CLAIMS = ("alpha2020-001",)', encoding="utf-8")
    (folder / "other.py").write_text('CLAIMS = ("alpha2020-0011", "beta2021-001")', encoding="utf-8")  # another id
    (folder / "alpha2020.py").write_text("ANSWERS = {}", encoding="utf-8")  # answers for the work
    return folder


def test_who_names_the_row_who_answers_for_it_and_who_rests_on_it(corrected: Dataset, tmp_path: Path) -> None:
    report = tmp_path / "latest"
    outcome = {"id": "pool", "kind": "finding", "estimates": [{"rows": ["alpha2020-001"]}]}
    write_outcome(report, outcome)
    write_outcome(report, {**outcome, "id": "plain", "kind": "reproduction"})
    (report / "outcomes" / "broken.json").write_text("{", encoding="utf-8")
    whole = (report / "outcomes" / "pool.json.gz").read_bytes()
    for name, content in (("cut", whole[:-9]), ("other", b"{}"), ("bent", whole[:12] + b"\xff" + whole[13:])):
        (report / "outcomes" / f"{name}.json.gz").write_bytes(content)
    found = touched_analyses(corrected, frozenset(), "1.0.0", analyses(tmp_path / "a"), report)
    assert [(one.row, one.successor, one.analyses) for one in found] == [
        ("alpha2020-001", "alpha2020-002", ("alpha2020", "engagement", "plain", "pool")),
        ("alpha2020-003", "", ("alpha2020",)),
    ]
    first, second = touched_lines(found)
    assert first.endswith("alpha2020-002 takes its place; touches: alpha2020, engagement, plain, pool")
    assert "name it in replaced_by" in second


def test_what_left_by_the_last_release_is_said_no_more(corrected: Dataset, tmp_path: Path) -> None:
    assert touched_analyses(corrected, frozenset(), "1.1.0", analyses(tmp_path / "a"), tmp_path) == ()


def test_only_the_works_that_are_checked(corrected: Dataset, tmp_path: Path) -> None:
    assert touched_analyses(corrected, frozenset({"beta2021"}), "1.0.0", analyses(tmp_path / "a"), tmp_path) == ()
