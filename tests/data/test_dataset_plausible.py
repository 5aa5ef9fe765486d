"""The dataset itself: nothing to mend, and every question of plausibility has a recorded answer."""

from __future__ import annotations

from replication import paths
from replication.study.checking import check_study


def test_nothing_to_mend_and_nothing_unanswered() -> None:
    report = check_study(paths.data_dir())
    assert report.errors == ()
    assert report.questions == ()


def test_answers_say_who_and_why() -> None:
    report = check_study(paths.data_dir())
    assert len(report.answered) >= 25 + 13
    for asked in report.answered:
        assert asked.answer is not None
        assert len(asked.answer.reason) > 40 and asked.answer.who
        assert asked.answer.found == asked.query.text and set(asked.answer.rows) == set(asked.query.rows)
