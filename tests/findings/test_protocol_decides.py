"""The protocol decides: rows of a copy of the dataset are changed one cell at a time, and the pools follow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from replication.dataset import Dataset
from replication.errors import DataError
from replication.evidence.protocol import described, flow, load_protocol, rows_on, screen
from replication.evidence.question import Question, each_person_once, evidence, screened_rows
from replication.labels import Label
from replication.models.multilevel.structure import BlockV

QUALITY = ("positive", "negative", "relationship")
ENGAGED = Question("q", "quality with engagement", QUALITY, "engagement")
ROW = "pisa2012_tur-035"


def changed(data: Dataset, table: str, key: str, row: str, **cells: object) -> Dataset:
    """A copy of the dataset with some cells of one row changed."""
    frame = data.table(table).copy()
    for column, value in cells.items():
        if column not in frame:
            frame[column] = ""
        frame.loc[frame[key] == row, column] = value
    return replace(data, tables={**data.tables, table: frame})


def row(data: Dataset, **cells: object) -> Dataset:
    return changed(data, "effects.csv", "effect_id", ROW, **cells)


def used(data: Dataset, without: str = "") -> bool:
    return ROW in set(evidence(data, ENGAGED, "pool", without=without).rows["effect_id"])


def test_the_row_counts_as_it_is(dataset: Dataset) -> None:
    assert used(dataset)


@pytest.mark.parametrize(
    ("cells", "criterion"),
    [
        ({"unit": "school"}, "unit"),
        ({"school_level": "higher"}, "setting"),
        ({"school_level": "preschool"}, "setting"),
        ({"part_of": "pisa2012_tur-002"}, "whole"),
        ({"subgroup_of": "pisa2012_tur"}, "whole"),
        ({"statistic": "d"}, "statistic"),
        ({"flags": "spearman"}, "statistic"),
        ({"statistic": "beta"}, "adjusted"),
        ({"flags": "adjusted"}, "adjusted"),
        ({"flags": "small_n;beta_converted"}, "adjusted"),
        ({"flags": "not_tsr"}, "exposure"),
        ({"measure_a": "teachint"}, "exposure"),
        ({"flags": "proxy_outcome"}, "outcome"),
        ({"flags": "low_trust"}, "trust"),
        ({"flags": "sign_unclear"}, "trust"),
        ({"flags": "extreme_groups"}, "selected"),
        ({"reading": "abstract"}, "reading"),
        ({"reading": "second-hand note"}, "reading"),
        ({"flags": "subscale_of=pisa2012_tur-002"}, "duplicate"),
    ],
)
def test_each_criterion_leaves_the_row_out_and_says_so(
    dataset: Dataset, cells: dict[str, object], criterion: str
) -> None:
    data = row(dataset, **cells)
    assert not used(data)
    reasons = {e.row: e.reason for e in evidence(data, ENGAGED, "pool").selection.excluded}
    assert reasons[ROW].values["name"] == criterion
    if criterion != "unit":
        again = evidence(data, ENGAGED, "pool", without=criterion)
        assert ROW in set(again.rows["effect_id"]) and ROW not in {e.row for e in again.selection.excluded}


def test_a_row_that_fails_two_criteria_comes_back_with_neither_dropped_alone(dataset: Dataset) -> None:
    data = row(dataset, flags="not_tsr;low_trust")
    assert not used(data, without="exposure") and not used(data, without="trust")


@pytest.mark.parametrize("cells", [{"flags": "same_informant"}, {"flags": "small_n"}, {"flags": "converted"}])
def test_flags_that_are_no_criterion_leave_the_row_in(dataset: Dataset, cells: dict[str, object]) -> None:
    assert used(row(dataset, **cells))


def test_an_overall_relationship_joins_the_quality_question_alone(dataset: Dataset) -> None:
    data = row(dataset, var_a="relationship")
    assert used(data)
    positive = Question("p", "positive", ("positive",), "engagement")
    assert ROW not in set(evidence(data, positive, "pool").rows["effect_id"])


def test_bodies_are_typed_by_what_a_row_is(dataset: Dataset) -> None:
    def body(data: Dataset) -> str:
        rows = described(data, data.effects)
        return str(rows.loc[rows["effect_id"] == ROW, "body"].iloc[0])

    assert body(dataset) == "open"
    assert body(row(dataset, publication_status="article")) == "published"
    assert body(row(dataset, publication_status="data with article")) == "published"
    bare = row(dataset, publication_status="")
    assert body(bare) == "open"  # computed from a file, nothing recorded
    assert body(row(bare, reading="table")) == "published"
    krull = described(dataset, dataset.effects)
    assert set(krull.loc[krull["work"] == "krull2022", "body"]) == {"published"}


def test_the_flow_counts_every_row_once(dataset: Dataset) -> None:
    found = flow(dataset, screened_rows(dataset, ENGAGED))
    assert found.rows == found.logged + found.directions + found.other_pairs + found.assessed
    assert found.assessed == found.included_rows + sum(count for _, count in found.excluded)
    assert found.assessed > found.included_rows > 0


def test_rows_that_bear_on_a_pair_are_the_candidates_of_either_order_numbered_anew(dataset: Dataset) -> None:
    rows = described(dataset, dataset.effects)
    found = described(dataset, rows_on(dataset, ("positive",), "engagement"))
    either = [{a, b} == {"positive", "engagement"} for a, b in zip(rows["var_a"], rows["var_b"], strict=True)]
    assert 0 < len(found) < len(rows)
    pd.testing.assert_frame_equal(found, rows[either].set_axis(range(sum(either))), check_index_type=False)


def overlapping(data: Dataset, shared_n: float) -> Dataset:
    """Two Turkish samples that share persons."""
    return changed(data, "samples.csv", "sample_id", "pisa2015_tur", overlaps="pisa2012_tur", shared_n=shared_n)


def test_samples_of_mostly_the_same_persons_are_one(dataset: Dataset) -> None:
    n = dataset.effects.groupby("sample_id")["n"].max()
    half = n[["pisa2012_tur", "pisa2015_tur"]].min() / 2
    small, large = sorted(("pisa2012_tur", "pisa2015_tur"), key=lambda s: n[s])
    for common, samples in ((np.ceil(half), {large}), (np.floor(half) - 1, {small, large})):
        found = evidence(overlapping(dataset, common), ENGAGED, "open")
        assert set(found.samples) & {small, large} == samples
    reasons = {e.reason for e in evidence(overlapping(dataset, np.ceil(half)), ENGAGED, "open").selection.excluded}
    assert Label("mostly_persons_of", {"sample": large}) in reasons


def test_fewer_shared_persons_are_a_covariance(dataset: Dataset) -> None:
    plain, found = (evidence(d, ENGAGED, "open") for d in (dataset, overlapping(dataset, 1000)))
    assert plain.shared == ()
    first, second = (np.flatnonzero(found.samples == s)[0] for s in ("pisa2012_tur", "pisa2015_tur"))
    n = dataset.effects.groupby("sample_id")["n"].max()
    share = 1000 / np.sqrt(n["pisa2012_tur"] * n["pisa2015_tur"])
    V = found.covariance().dense()
    # other measures on the shared persons: the working correlation .6 of the share
    assert V[first, second] == pytest.approx(0.6 * share * np.sqrt(found.v[first] * found.v[second]))
    assert np.linalg.eigvalsh(V)[0] > 0
    # every other pair of rows: .6 within a sample, none between others, the whole share for the same two measures
    correlation = V / np.sqrt(np.outer(found.v, found.v))
    sides = np.stack([found.rows[name].to_numpy() for name in ("relationship", "measure_key_a", "measure_key_b")])
    for i, j in zip(*np.triu_indices(len(found.y), 1), strict=True):
        two = {found.samples[i], found.samples[j]}
        whole = 1.0 if (sides[:, i] == sides[:, j]).all() else 0.6
        expected = 0.6 if len(two) == 1 else whole * share if two == {"pisa2012_tur", "pisa2015_tur"} else 0.0
        assert correlation[i, j] == pytest.approx(expected, abs=1e-12)
    assert found.shared and found.take(np.ones(len(found.y), dtype=bool)).shared == found.shared
    for gone in ("pisa2012_tur", "pisa2015_tur"):  # with one of the two nothing is shared, whichever it is
        assert found.take(found.samples != gone).shared == ()
    assert evidence(overlapping(dataset, 0), ENGAGED, "open").shared == ()


def test_shared_persons_put_an_unknown_country_where_the_other_is(dataset: Dataset) -> None:
    data = changed(overlapping(dataset, 1000), "samples.csv", "sample_id", "pisa2015_tur", country="")
    effects = data.effects.assign(
        country=data.effects["country"].where(data.effects["sample_id"] != "pisa2015_tur", "")
    )
    data = replace(data, tables={**data.tables, "effects.csv": effects})
    found = evidence(data, ENGAGED, "open")
    assert set(found.places[found.samples == "pisa2015_tur"]) == {"Turkey"}


@pytest.mark.parametrize("order", ["abcd", "cabd", "dcba", "bdac"])
@pytest.mark.parametrize(("of_c", "place"), [("", ""), ("Peru", "Peru")])
def test_samples_that_share_persons_by_way_of_another_live_in_one_place(
    dataset: Dataset, order: str, of_c: str, place: str
) -> None:
    """a shares persons with b, and b with c: where c lives, or nobody knows, all three do; d is elsewhere."""
    rows = pd.DataFrame({"effect_id": [f"e{s}" for s in order], "sample_id": list(order), "n": 100.0})
    rows["country"] = [of_c if sample == "c" else "" for sample in order]
    samples = pd.DataFrame(
        {"sample_id": list("abcd"), "overlaps": ["b", "c", "", ""], "shared_n": [1.0, 10.0, 0.0, 0.0]}
    )
    data = replace(dataset, tables={**dataset.tables, "samples.csv": samples, "effects.csv": rows})
    found = each_person_once(data, rows)
    where = dict(zip(found.rows["sample_id"], found.rows["place"], strict=True))
    assert where["a"] == where["b"] == where["c"] != where["d"] and (not place or where["a"] == place)
    assert found.shared == (("a", "b", 0.01), ("b", "c", 0.1)) and not found.excluded, "a single person is shared"


def test_unknown_countries_are_places_of_their_own(dataset: Dataset) -> None:
    found = evidence(dataset, ENGAGED, "published")
    unknown = found.rows["country"].fillna("") == ""
    assert len(set(found.places[unknown])) == found.unknown_countries == found.rows.loc[unknown, "sample_id"].nunique()


def test_weights_are_used_where_the_file_has_them(dataset: Dataset) -> None:
    found = evidence(dataset, ENGAGED, "open")
    at = found.rows["effect_id"].tolist().index(ROW)
    assert found.y[at] == pytest.approx(np.arctanh(found.rows["value_weighted"].iloc[at]))
    assert found.v[at] == pytest.approx(1 / (found.rows["n_effective"].iloc[at] - 3))


def test_the_working_covariance_is_rho_within_a_sample_and_nothing_between(dataset: Dataset) -> None:
    found = evidence(dataset, ENGAGED, "open")
    V = found.covariance(0.6)
    assert isinstance(V, BlockV) and V.rho == 0.6
    same = np.equal.outer(found.samples, found.samples)
    correlation = V.dense() / np.sqrt(np.outer(found.v, found.v))
    assert np.allclose(correlation[same & ~np.eye(len(same), dtype=bool)], 0.6) and not correlation[~same].any()


def test_a_criterion_with_an_unknown_column_refuses_nothing_and_a_broken_file_is_named(tmp_path: Path) -> None:
    rows = pd.DataFrame({"flags": ["", "low_trust"], "effect_id": ["a", "b"]})
    assert screen(rows, load_protocol()).included.tolist() == [True, False]
    good = Path("analyses/protocol.toml").read_text(encoding="utf-8")
    file = tmp_path / "protocol.toml"
    file.write_text(good.replace('id = "trust"', 'id = "unit"'), encoding="utf-8")
    with pytest.raises(DataError, match='two criteria are called "unit"'):
        load_protocol(file)
    both = good.replace('id = "reading"', 'id = "statistic"').replace('id = "trust"', 'id = "unit"')
    file.write_text(both, encoding="utf-8")
    with pytest.raises(DataError, match='two criteria are called "unit"'):  # the first in the file's order
        load_protocol(file)
    file.write_text(good.replace('columns = ["unit"]', "columns = 3"), encoding="utf-8")
    with pytest.raises(DataError, match=r"protocol\.toml, criterion\.0\.columns: .*found 3"):
        load_protocol(file)
