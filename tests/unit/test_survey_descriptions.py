"""Size, mean, reliability and missing share of a survey's measures, on small simulated files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rdata

from replication.dataset.recipes import Measure, Recipe
from replication.errors import UserError
from replication.study.microdata.describing import coefficient_alpha, describe_recipe, described_lines
from replication.study.microdata.survey_files import read_columns

N = 400


def simulated(seed: int = 5) -> pd.DataFrame:
    """Four items of one trait, the third asked the other way round, an index of all four, another battery, a test."""
    rng = np.random.default_rng(seed)
    trait = rng.normal(size=N)
    items = np.clip(np.round(2.5 + 0.8 * trait[:, None] + rng.normal(scale=0.6, size=(N, 4))), 1, 4)
    items[:, 2] = 5 - items[:, 2]
    frame = pd.DataFrame(items, columns=["A1", "A2", "A3", "A4"])
    frame["INDEX"] = items[:, 0] + items[:, 1] + (5 - items[:, 2]) + items[:, 3]
    frame[["B1", "B2", "B3"]] = np.clip(np.round(2.5 + rng.normal(size=(N, 3))), 1, 4)
    frame[["PV1", "PV2"]] = 500 + rng.normal(scale=80, size=(N, 2))
    frame["LAND"] = np.where(np.arange(N) < 100, "NOR", "SWE")
    frame.loc[:19, "INDEX"] = np.nan  # 20 of 400, all in the first land
    return frame


def recipe(scale_items: list[str], *, each: bool = False) -> Recipe:
    index = Measure(variable="positive", measure="index", items=["INDEX"], scale_items=scale_items)
    mean = Measure(
        variable="engagement", measure="mean", items=["A{1..4}"], reversed=["A3"], scale=[1, 4], at_least=0.5
    )
    test = Measure(variable="achievement", measure="test", plausible=["PV{1..2}"])
    more = {"sample": "sim_{}", "each": "LAND"} if each else {"sample": "sim"}
    return Recipe(source="simulated", file=["sim.csv"], measure=[index, mean, test], verified="simulated", **more)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sim.csv"
    simulated().to_csv(path, index=False)
    return path


def test_alpha_is_the_standard_form_of_mean_variance_and_mean_covariance() -> None:
    items = simulated()[["A1", "A2", "A4"]].to_numpy()
    covariance = np.cov(items, rowvar=False)
    mean_variance = np.trace(covariance) / 3
    mean_covariance = (covariance.sum() - np.trace(covariance)) / 6
    assert coefficient_alpha(items) == pytest.approx(3 * mean_covariance / (mean_variance + 2 * mean_covariance))


def test_alpha_leaves_out_persons_without_all_answers_and_needs_two_items() -> None:
    items = simulated()[["A1", "A2"]].to_numpy()
    holed = np.vstack([items, [[np.nan, 4.0]] * 30])
    assert coefficient_alpha(holed) == coefficient_alpha(items)
    assert np.isnan(coefficient_alpha(items[:, :1]))


def test_measures_are_described_from_their_file(file: Path) -> None:
    frame = simulated()
    index, mean, test = describe_recipe(recipe(["A{1..4}"]), [file])
    assert (index.n, index.missing_pct, index.items) == (380, 5.0, 4)
    turned = frame[["A1", "A2", "A3", "A4"]].assign(A3=5 - frame["A3"]).to_numpy()
    assert mean.mean == pytest.approx(turned.mean())
    assert mean.alpha == pytest.approx(coefficient_alpha(turned)) == index.alpha
    assert mean.alpha > 0.8  # not turned, the third item would pull it below .3
    assert test.mean == pytest.approx(frame[["PV1", "PV2"]].to_numpy().mean())
    assert (test.items, np.isnan(test.alpha)) == (0, True)


def test_each_country_is_described_by_itself(file: Path) -> None:
    found = {row.sample: row for row in describe_recipe(recipe([], each=True), [file]) if row.measure == "index"}
    assert {name: (row.n, row.missing_pct) for name, row in found.items()} == {
        "sim_nor": (80, 20.0),
        "sim_swe": (300, 0.0),
    }
    assert [row.sample for row in describe_recipe(recipe([], each=True), [file], "sim_swe")] == ["sim_swe"] * 3


def test_the_items_of_another_scale_are_refused(file: Path) -> None:
    with pytest.raises(UserError, match=r"index: the answers behind it correlate 0\.\d+ with it by rank"):
        describe_recipe(recipe(["B{1..3}"]), [file])


def test_a_line_says_what_is_known(file: Path) -> None:
    lines = list(described_lines(describe_recipe(recipe([]), [file])))
    assert lines[0].startswith("sim: positive (index): n 380, missing 5.0 per cent, mean ")
    assert "alpha" not in lines[0]
    assert "of 4 items" in lines[1]


def test_a_list_of_tables_with_the_same_rows_is_one_table(tmp_path: Path) -> None:
    path = tmp_path / "list.rda"
    blocks = {"id": {"SCHOOL": np.array(["a", "a", "b"])}, "test": {"pv": {"PV1": np.array([1.0, 2.0, 3.0])}}}
    rdata.write_rda(str(path), {"SURVEY": blocks})
    frame = read_columns([path], ["SCHOOL", "PV1"], "rows").frame
    assert frame.to_dict("list") == {"SCHOOL": ["a", "a", "b"], "PV1": [1.0, 2.0, 3.0]}


def test_tables_of_different_rows_are_not_cut_to_fit(tmp_path: Path) -> None:
    path = tmp_path / "list.rda"
    blocks = {"id": {"SCHOOL": np.array(["a", "a", "b"])}, "test": {"PV1": np.array([1.0, 2.0])}}
    rdata.write_rda(str(path), {"SURVEY": blocks})
    with pytest.raises(UserError, match=r"tables with different numbers of rows \(2, 3\)"):
        read_columns([path], ["SCHOOL", "PV1"], "rows")
