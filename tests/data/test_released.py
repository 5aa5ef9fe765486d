"""Nothing that was released can vanish unsaid: deleted files and rows are problems, and the list holds all of them."""

from __future__ import annotations

import csv
from collections.abc import Callable

import pytest

from replication import paths
from replication.dataset import Dataset, load_dataset
from replication.dataset.released import RELEASED, released_text
from replication.dataset.row_versions import version_numbers
from replication.report.releases import read_releases
from tests.data.small import Small


@pytest.fixture
def released(small: Small) -> Small:
    """The small dataset as released in 1.0.0, with an explanation."""
    small.write(
        "alpha2020/explanations.toml",
        '[[explanation]]\nid = "x"\nclaims = ["alpha2020-001"]\nat_most = 0.1\nreason = "r"\nevidence = "e"\n',
    )
    small.write(RELEASED, released_text(load_dataset(small.root), small.root, "1.0.0"))
    assert small.lines() == []
    return small


def drop_row(small: Small) -> None:
    lines = (small.root / "alpha2020/effects.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    small.write("alpha2020/effects.csv", "".join(lines[:-1]))


LOST: dict[str, tuple[Callable[[Small], None], str]] = {
    "explanations": (
        lambda s: (s.root / "alpha2020/explanations.toml").unlink(),
        "alpha2020/explanations.toml: found no such file; expected every file of a released version [lost-file]",
    ),
    "claims": (lambda s: (s.root / "alpha2020/claims.csv").unlink(), "alpha2020/claims.csv: found no such file"),
    "a row": (drop_row, 'expected the row "alpha2020-e2" of a released version [lost-row]'),
    "an id": (lambda s: s.replace("alpha2020/effects.csv", "alpha2020-e1", "alpha2020-e9"), "never deleted or renamed"),
}


@pytest.mark.parametrize("kind", LOST)
def test_what_was_released_and_is_gone_is_said(released: Small, kind: str) -> None:
    lose, expected = LOST[kind]
    lose(released)
    checked = released.check()
    assert any(expected in str(problem) for problem in checked.errors), released.lines()
    assert checked.dataset is None


def test_new_rows_and_works_are_free_to_go(released: Small) -> None:
    """What came after the release is not in the list, so a slip of yesterday can be deleted."""
    text = (released.root / "alpha2020/effects.csv").read_text(encoding="utf-8")
    released.write(
        "alpha2020/effects.csv",
        text
        + text.splitlines()[-1].replace("-e2", "-e3").replace("1.0.0", "1.1.0").replace("negative", "relationship")
        + "\n",
    )
    assert released_text(load_dataset(released.root), released.root, "1.0.0") == (released.root / RELEASED).read_text(
        encoding="utf-8"
    )
    released.write("alpha2020/effects.csv", text)
    assert released.lines() == []


def test_the_list_of_the_project_holds_what_its_releases_hold(dataset: Dataset) -> None:
    """All but the newest: that one enters the list by the next `study codebook`."""
    releases = read_releases(paths.reports_dir())
    at = version_numbers(releases[-2].dataset_version)
    listed = {tuple(row) for row in csv.reader((paths.data_dir() / RELEASED).read_text(encoding="utf-8").splitlines())}
    for frame in (dataset.effects, dataset.withdrawn["effects.csv"]):
        for work, row, since in zip(frame["work"], frame["effect_id"], frame["since"], strict=True):
            assert version_numbers(since) > at or (f"{work}/effects.csv", row) in listed, row
    assert len(listed) > 5_000
