"""Dataset versions: rows enter and leave, any version can be had again, and a comparison says what moved."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from replication.analysis import Analysis, Context, Estimate, Findings, Sentence
from replication.analysis.difference import compare, row_changes, steps
from replication.dataset import Dataset, load_dataset
from replication.errors import DataError
from replication.study.history import compare_states, history_html, history_lines
from replication.study.new import next_version
from tests.cli.conftest import Command
from tests.data.small import EFFECTS, Small

HEADER = EFFECTS.splitlines()[0].replace("since", "since,until")
ROW = "{},alpha2020_s1,positive,{},r,{},120,student,student,doi:10/x,T2,table,{},{},\n"


@pytest.fixture
def history(small: Small) -> Dataset:
    """One row from the start, one replaced in 1.1.0 by another, one that came in 1.2.0."""
    rows = (
        ("alpha2020-e1", "engagement", ".35", "1.0.0", ""),
        ("alpha2020-e2", "achievement", ".12", "1.0.0", "1.1.0"),
        ("alpha2020-e2b", "achievement", ".21", "1.1.0", ""),
        ("alpha2020-e3", "belonging", ".30", "1.2.0", ""),
    )
    small.write("VERSION", "1.2.0\n")
    small.write("alpha2020/effects.csv", HEADER + "\n" + "".join(ROW.format(*row) for row in rows))
    return load_dataset(small.root)


def ids(dataset: Dataset) -> set[str]:
    rows = dataset.effects
    return set(rows.loc[rows["work"] == "alpha2020", "effect_id"])


def test_each_version_has_its_rows(history: Dataset) -> None:
    assert ids(history) == {"alpha2020-e1", "alpha2020-e2b", "alpha2020-e3"}
    assert ids(history.as_of("1.0.0")) == {"alpha2020-e1", "alpha2020-e2"}
    assert ids(history.as_of("1.1.0")) == {"alpha2020-e1", "alpha2020-e2b"}
    assert ids(history.as_of("1.2.0")) == ids(history)
    assert len({history.digest, history.as_of("1.0.0").digest, history.as_of("1.1.0").digest}) == 3


@pytest.mark.parametrize("version", ["0.9.0", "one", "", "1.x.0"])
def test_a_version_that_never_was(history: Dataset, version: str) -> None:
    with pytest.raises(DataError):
        history.as_of(version)


def test_next_version() -> None:
    assert next_version("1.9.3") == "1.10.0"


def test_without_a_work_it_had_never_been_added(history: Dataset) -> None:
    rest = history.without("alpha2020")
    assert set(rest.works) == set(rest.references) == {"beta2021"}
    assert set(rest.effects["work"]) == set(rest.samples["work"]) == {"beta2021"}
    assert rest.claims.empty
    assert set(history.works) == {"alpha2020", "beta2021"}
    with pytest.raises(DataError, match="gamma"):
        history.without("gamma")


def test_as_published_uses_the_column_used_in(dataset: Dataset) -> None:
    published = dataset.as_published("jakcheung2018")
    assert len(published.effects) == 101
    with pytest.raises(DataError, match="jakcheung2018"):
        dataset.as_published("jakcheung2019")


def test_the_row_difference_names_new_gone_and_changed(history: Dataset) -> None:
    changes = {c.row: (c.change, c.before, c.after) for c in row_changes(history.as_of("1.0.0"), history)}
    assert changes == {
        "alpha2020-e2": ("gone", "r .12, n 120", ""),
        "alpha2020-e2b": ("new", "", "r .21, n 120"),
        "alpha2020-e3": ("new", "", "r .30, n 120"),
    }


def mean_of(context: Context) -> Findings:
    """A tiny analysis: the plain mean of all student correlations."""
    rows = context.data.effects
    estimate = Estimate(
        id="mean",
        label="mean r",
        metric="r",
        value=float(rows["value"].mean()),
        section="more",
        k=len(rows),
        rows=tuple(rows["effect_id"]),
    )
    return Findings(estimates=(estimate,), sentences=(Sentence("x", section="more"),))


MEAN = Analysis(id="mean", title="A mean", question="?", run=mean_of, kind="finding")


def test_what_moved_adds_up(history: Dataset) -> None:
    """Telescoping: the steps sum to the whole move, whatever the order."""
    before = history.as_of("1.0.0")
    found = compare_states(MEAN, (("as of 1.0.0", before), ("today", history)))
    (change,) = found.difference.estimates
    assert change.moved == pytest.approx(history.effects["value"].mean() - before.effects["value"].mean())
    assert sum(step.moved for step in found.steps["mean"]) == pytest.approx(change.moved)
    assert "by alpha2020 (3 rows)" in "\n".join(history_lines(found))
    assert "alpha2020-e2b" in history_html(found)


def test_many_works_end_in_a_rest() -> None:
    """Twelve steps at most; their moves still add up. The data are simulated."""
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"effect_id": [f"e{i}" for i in range(30)], "work": [f"w{i}" for i in range(30)]})
    frame["value"], frame["statistic"], frame["n"] = rng.normal(size=30), "r", 100.0
    frame["value_text"] = frame["value"].map("{:.3f}".format)

    class State:
        def __init__(self, effects: pd.DataFrame) -> None:
            self.effects = effects

        def with_effects(self, ids: set[str], further: pd.DataFrame) -> State:
            return State(frame[frame["effect_id"].isin(ids)])

    before, after = State(frame[:5]), State(frame)
    changes = row_changes(before, after)  # type: ignore[arg-type]
    found = steps(before, after, lambda s: {"m": float(s.effects["value"].mean())}, changes)["m"]  # type: ignore[arg-type]
    assert len(found) == 12 and found[-1].work == "14 further works"
    assert sum(s.moved for s in found) == pytest.approx(frame["value"].mean() - frame[:5]["value"].mean())


def test_nothing_differs_from_itself(history: Dataset) -> None:
    found = compare_states(MEAN, (("then", history), ("now", history)))
    assert not found.difference and found.rows == () and "No estimate" in "\n".join(history_lines(found))


def test_an_outcome_that_cannot_be_had_is_no_zero() -> None:
    from replication.analysis import run_analysis
    from replication.analysis.outcome import Outcome

    outcome = Outcome(
        id="x", kind="finding", title="X", question="?", digest="", checks=(), tables=(), figures=(), sentences=(),
        exclusions=(), estimates=(Estimate(id="e", label="e", metric="r", value=0.2),),
    )  # fmt: skip
    difference = compare(None, outcome)
    assert difference.estimates[0].before is None and math.isnan(difference.estimates[0].moved)
    assert not compare(outcome, replace(outcome, digest="other"))
    assert run_analysis is not None


def test_the_command_wants_one_state(study: Command, small: Small) -> None:
    assert (
        "give either --as-of VERSION or --published WORK" in study("versions", "roorda2011", "--data", small.root).err
    )


def test_the_real_published_state_moves_by_the_thirteen_rows(study: Command) -> None:
    said = study("versions", "roorda2011", "--published", "jakcheung2018")
    assert said.code == 0, said.err
    assert "rows: 13 new, 0 gone, 0 changed" in said.out
