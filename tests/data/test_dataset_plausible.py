"""The dataset itself: nothing to mend, and every question of plausibility has a recorded answer."""

from __future__ import annotations

from itertools import groupby

import pytest

from replication import paths
from replication.dataset.countries import territory
from replication.study.checking import CheckReport, check_study


@pytest.fixture(scope="module")
def report() -> CheckReport:
    return check_study(paths.data_dir())


def test_nothing_to_mend_and_nothing_unanswered(report: CheckReport) -> None:
    assert report.errors == ()
    assert report.questions == ()


def test_answers_say_who_and_why(report: CheckReport) -> None:
    assert len(report.answered) >= 25 + 13
    for asked in report.answered:
        assert asked.answer is not None
        assert len(asked.answer.reason) > 40 and asked.answer.who
        assert asked.answer.found == asked.query.text and set(asked.answer.rows) == set(asked.query.rows)


def test_samples_of_persons_have_one_name_for_a_country(report: CheckReport) -> None:
    """Codes, as of schools in PISA, are no names: they stand in rows of another unit, which no model mixes."""
    assert report.readable is not None
    samples = report.readable.samples
    names = sorted(set(samples.loc[samples["unit"] == "student", "country"]) - {""}, key=territory)
    several = {land: found for land, same in groupby(names, territory) if land and len(found := list(same)) > 1}
    assert several == {} and not [name for name in names if name.isupper()], names
