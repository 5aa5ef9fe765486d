"""Variances of correlations under survey designs against R's survey and mitools packages.

The made-by script, versions and numbers lie in `survey_package/`. The simulated file is there too; of the public files
only results are kept, and the rows stored in the dataset are compared with them. Degrees of freedom over plausible
values are those of Barnard & Rubin (1999), from which mitools 2.4 departs a little (9.996 for 9.928): both are kept.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from replication.dataset import load_dataset
from replication.models.fit import Array
from replication.paths import data_dir
from replication.study.microdata.design import SurveyDesign, jackknife_weights
from replication.study.microdata.design_correlations import DesignCorrelation, correlate_by_design

HERE = Path(__file__).with_name("survey_package")


@cache
def cases() -> dict[str, dict[str, float]]:
    found = json.loads((HERE / "correlations.json").read_text(encoding="utf-8"))["cases"]
    assert isinstance(found, dict)
    return found


@cache
def simulated() -> pd.DataFrame:
    return pd.read_csv(HERE / "simulated.csv")


def correlated(design: SurveyDesign, *columns: str) -> DesignCorrelation:
    frame = simulated()
    y = np.asarray(frame[list(columns)], dtype=float)
    return correlate_by_design(frame[["x"]].to_numpy(float), y, design)


def jackknife(*, both: bool) -> SurveyDesign:
    frame = simulated()
    w: Array = frame["w"].to_numpy(float)
    replicates = jackknife_weights(w, frame["zone"].to_numpy(np.intp), frame["half"].to_numpy() == 1, both=both)
    schools = frame["school"].to_numpy(np.intp)
    return SurveyDesign(w, schools, None, replicates, 0.5 if both else 1.0, 12.0 if both else 11.0)


def linearised(*, strata: bool) -> SurveyDesign:
    frame = simulated()
    layers = frame["stratum"].to_numpy(np.intp) if strata else None
    schools = frame["school"].to_numpy(np.intp)
    return SurveyDesign(frame["w"].to_numpy(float), schools, layers, df=17.0 if strata else 23.0)


@pytest.mark.parametrize(
    ("case", "design", "columns"),
    [
        ("simulated_jackknife", jackknife(both=False), ("y",)),
        ("simulated_jackknife_both", jackknife(both=True), ("y",)),
        ("simulated_jackknife_both_plausible", jackknife(both=True), tuple(f"pv{i}" for i in range(1, 6))),
        ("simulated_strata", linearised(strata=True), ("y",)),
        ("simulated_schools", linearised(strata=False), ("y",)),
    ],
)
def test_simulated_design(case: str, design: SurveyDesign, columns: tuple[str, ...]) -> None:
    expected = cases()[case]
    found = correlated(design, *columns)
    assert found.n == expected["n"]
    assert found.r_weighted == pytest.approx(expected.get("r", np.tanh(expected["z"])), abs=1e-9)
    assert 1.0 / (found.n_effective - 3.0) == pytest.approx(expected["variance"], rel=1e-7)
    assert found.df == pytest.approx(expected["df"], rel=1e-7)


# case -> sample, first and second measure of the stored row that was computed from the same public file
STORED = {
    "pisa2003_nld_sturel_belong": ("pisa2003_nld", "sturel", "belong"),
    "pisa2003_nld_sturel_mathematics": ("pisa2003_nld", "sturel", "mathematics"),
    "pisa2003_nld_teachsup_reading": ("pisa2003_nld", "teachsup", "reading"),
    "iccs2016_ita_stutrel_abuse": ("iccs2016_ita", "s-stutrel", "s-abuse"),
    "iccs2016_ita_stutrel_civic": ("iccs2016_ita", "s-stutrel", "civic"),
    "timss2019_tur_g8_fair_mathematics": ("timss2019_tur_g8", "bsbg13d", "mathematics"),
}


def test_every_case_is_compared() -> None:
    assert set(STORED) == {case for case in cases() if not case.startswith("simulated")}


@pytest.mark.parametrize("case", STORED)
def test_stored_rows_of_public_files(case: str) -> None:
    """PISA with Fay's replicates, ICCS with one jackknife replicate a zone, TIMSS with two made from its zones."""
    sample, a, b = STORED[case]
    effects = load_dataset(data_dir()).effects
    counts = (effects["unit"] == "student") & (effects["sample_id"] == sample)
    (row,) = effects[counts & (effects["measure_a"] == a) & (effects["measure_b"] == b)].to_dict("records")
    expected = cases()[case]
    assert row["n"] == expected["n"]
    assert row["value_weighted"] == pytest.approx(expected.get("r", np.tanh(expected["z"])), abs=5.1e-5)
    assert row["n_effective"] == pytest.approx(1.0 / expected["variance"] + 3.0, abs=0.51)
    assert row["n_effective_df"] == pytest.approx(expected["df"], abs=0.051)
