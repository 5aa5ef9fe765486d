"""Conceptual replications on simulated files with a known truth, and what is said of the results."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.discrete.discrete_model import MNLogit

from replication.analysis.conceptual_findings import conceptual_findings
from replication.dataset import Dataset
from replication.dataset.checking import check_conceptual
from replication.dataset.columns import Columns
from replication.dataset.conceptual_records import ConceptualRecord, Expected, agreement
from replication.dataset.recipes import Measure
from replication.errors import UserError
from replication.models.bayes.sampled.sampling import Settings
from replication.models.probability import t_ppf
from replication.study.conceptual_regressions import (
    compare_conceptual,
    compute_conceptual,
    conceptual_rows,
    sample_conceptual_roles,
    with_files,
)

CLASSES, EACH = 60, 25


def measure(name: str, column: str = "", variable: str = "control") -> Measure:
    return Measure(variable=variable, measure=name, items=[column or name])


def record(model: str, measures: tuple[str, ...], **more: object) -> ConceptualRecord:
    base = {"id": f"sim-{model}", "question": "Simulated?", "same": ["model"], "differs": ["simulated"], "model": model}
    base |= {"source": "simulated", "file": ["sim.csv"], "verified": "simulated", "cluster": ["klass"]}
    return ConceptualRecord(**{**base, "measure": [measure(name) for name in measures], **more})


@pytest.fixture(scope="module")
def simulated() -> pd.DataFrame:
    """Pupils in classes: a count with log rate .2 - .4 x - .3 m + .15 x m, roles with slope -.5, a later test."""
    rng = np.random.default_rng(11)
    n = CLASSES * EACH
    klass = np.repeat(np.arange(CLASSES), EACH)
    x, m = rng.normal(size=(2, n))
    class_effect = rng.normal(scale=0.15, size=CLASSES)[klass]
    count = rng.poisson(np.exp(0.2 - 0.4 * x - 0.3 * m + 0.15 * x * m + class_effect))
    eta = np.column_stack([np.zeros(n), *((-1.0 - 0.5 * m + rng.normal(scale=0.1, size=n)) for _ in range(3))])
    odds = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
    role = (rng.random(n)[:, None] > odds.cumsum(axis=1)).sum(axis=1)
    before = 0.5 * m + rng.normal(size=n)
    frame = pd.DataFrame({"klass": klass, "x": x, "m": m, "count": count, "before": before})
    frame["bullies"], frame["bullied"] = (role % 2 == 1) * 1.0, (role >= 2) * 1.0
    frame["climate"] = rng.normal(size=n)
    frame["later"] = 0.8 * before + rng.normal(size=n)  # m has nothing to add once the earlier test is known
    frame["weight"] = np.where(klass < 30, 1.0, 2.0)
    return frame


@pytest.fixture
def file(simulated: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "sim.csv"
    simulated.to_csv(path, index=False)
    return path


MODERATION = {"outcome": ["count"], "predictor": "x", "moderator": "m", "link": "log"}


def test_the_product_is_found_on_the_log_scale_and_differs_on_the_raw_scale(file: Path) -> None:
    found = {
        (e.scale, e.term): e
        for e in compute_conceptual(record("moderation", ("count", "x", "m"), **MODERATION), [file])
    }
    log = found[("log", "x x m")]
    assert log.low < 0.15 < log.high
    assert log.low > 0
    assert found[("log", "x")].low < -0.4 < found[("log", "x")].high
    assert found[("raw", "x x m")].estimate > 1.5 * log.estimate  # a product of effects adds to the log's interaction
    assert (log.n, log.clusters) == (CLASSES * EACH, CLASSES)
    below, above = (found[("log", f"x, at m one sd {side} the mean")].estimate for side in ("below", "above"))
    assert (below + above) / 2 == pytest.approx(found[("log", "x")].estimate)
    assert (above - below) / 2 == pytest.approx(log.estimate)


def test_the_interval_is_the_sandwich_of_class_sums_with_t(simulated: pd.DataFrame, file: Path) -> None:
    entry = next(
        e for e in compute_conceptual(record("moderation", ("count", "x", "m"), **MODERATION), [file]) if e.term == "m"
    )
    x, m = ((simulated[c] - simulated[c].mean()) / simulated[c].std() for c in ("x", "m"))
    X, y = np.column_stack([np.ones(len(x)), x, m, x * m]), simulated["count"].to_numpy(float)
    bread = np.linalg.inv(X.T @ X)
    beta = bread @ X.T @ y
    sums = np.array([X[rows].T @ (y - X @ beta)[rows] for rows in np.array_split(np.arange(len(y)), CLASSES)])
    n, p = X.shape
    vcov = bread @ (sums.T @ sums) @ bread * CLASSES / (CLASSES - 1) * (n - 1) / (n - p)
    assert entry.estimate == pytest.approx(beta[2])
    assert entry.high - entry.estimate == pytest.approx(float(t_ppf(0.975, CLASSES - 1)) * np.sqrt(vcov[2, 2]))


def test_weights_count_as_copies_for_the_estimate(simulated: pd.DataFrame, tmp_path: Path) -> None:
    once, twice = tmp_path / "sim.csv", tmp_path / "copies.csv"
    standard = simulated.assign(x=0.0, m=0.0)
    standard["x"], standard["m"] = simulated["x"], simulated["m"]
    standard.to_csv(once, index=False)
    pd.concat([standard, standard[standard["weight"] == 2]]).to_csv(twice, index=False)
    weighted = record("moderation", ("count", "x", "m"), **MODERATION, weight="weight")
    copies = record("moderation", ("count", "x", "m"), **MODERATION, file=["copies.csv"])
    at = {"once": compute_conceptual(weighted, [once]), "twice": compute_conceptual(copies, [twice])}
    sd = {name: pd.read_csv(path)[["x", "m"]].std() for name, path in (("once", once), ("twice", twice))}
    a, b = (next(e for e in at[k] if (e.scale, e.term) == ("raw", "x x m")) for k in ("once", "twice"))
    assert a.estimate / sd["once"].prod() == pytest.approx(b.estimate / sd["twice"].prod(), rel=1e-8)


ROLES = {"outcome": ["bullies", "bullied"], "predictor": "m", "climate": "climate"}


def test_the_roles_have_the_slope_they_were_drawn_with(file: Path) -> None:
    names = ("bullies", "bullied", "m", "climate")
    found = compute_conceptual(record("roles", names, **ROLES, cuts=[1]), [file])
    slopes = {e.outcome: e for e in found if e.term == "m"}
    assert set(slopes) == {"bully", "victim", "bully/victim"}
    for entry in slopes.values():  # four standard errors: three slopes are asked at once
        assert abs(entry.estimate + 0.5) < 2 * (entry.high - entry.estimate)
        assert entry.high < 0
    assert all(e.low < 0 < e.high for e in found if e.term == "climate of the class")
    assert slopes["bully"].note.count("uninvolved") == 1


def test_the_slope_of_the_class_compares_classes_and_that_of_the_pupil_classmates(
    simulated: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "sim.csv"
    shifted = simulated.assign(m=simulated["m"] + 0.8 * np.sin(simulated["klass"]))  # classes differ in their mean
    shifted.to_csv(path, index=False)
    found = compute_conceptual(record("roles", ("bullies", "bullied", "m", "climate"), **ROLES, cuts=[1]), [path])
    of_class = shifted.groupby("klass")[["m", "climate"]].transform("mean")
    columns = [shifted["m"] - of_class["m"], of_class["m"], of_class["climate"]]
    X = np.column_stack([np.ones(len(shifted)), *((c - c.mean()) / c.std() for c in columns)])
    fit = MNLogit((shifted["bullies"] + 2 * shifted["bullied"]).to_numpy(), X).fit(disp=False)
    ours = {(e.outcome, e.term): e.estimate for e in found}
    for place, term in enumerate(("m", "m of the class", "climate of the class"), 1):
        assert ours[("victim", term)] == pytest.approx(fit.params[place, 1], rel=1e-6)


def test_a_cut_that_leaves_few_pupils_in_a_role_is_refused(file: Path) -> None:
    names = ("bullies", "bullied", "m", "climate")
    with pytest.raises(UserError, match="cut 2: 0 pupils are bully; expected 15 or more"):
        compute_conceptual(record("roles", names, **ROLES, cuts=[2]), [file])


@pytest.mark.simulation
def test_the_bayesian_roles_find_the_slopes_they_were_drawn_with(file: Path, tmp_path: Path) -> None:
    asked = record("roles", ("bullies", "bullied", "m", "climate"), **ROLES, cuts=[1])
    few = Settings(seed=3, chains=2, draws=800, tune=600)
    found = sample_conceptual_roles(asked, [file], 1.0, few, tmp_path / "compiled")
    slopes = [entry for entry in found if entry.term == "m, Bayesian model"]
    assert [entry.outcome for entry in slopes] == ["bully", "victim", "bully/victim"]
    for entry in slopes:
        assert abs(entry.estimate + 0.5) < 2 * (entry.high - entry.estimate)
        assert entry.note.startswith("R-hat 1.0")


def test_the_bayesian_model_is_for_roles_only(file: Path) -> None:
    with pytest.raises(UserError, match="sim-moderation is no record of roles"):
        sample_conceptual_roles(record("moderation", ("count", "x", "m"), **MODERATION), [file], 1.0, Settings())


def test_an_earlier_outcome_takes_away_what_it_explains(file: Path) -> None:
    lagged = record("lagged", ("later", "m", "before"), outcome=["later"], predictor="m", earlier="before")
    without, given = compute_conceptual(lagged, [file])
    assert without.low > 0
    assert given.low < 0 < given.high
    assert given.term == "m"


def test_a_file_that_belongs_to_no_record_is_named(file: Path) -> None:
    records = [record("lagged", ("later", "m", "before"), outcome=["later"], predictor="m", earlier="before")]
    assert [r.id for r, _ in with_files(records, [file])] == ["sim-lagged"]
    with pytest.raises(UserError, match=r"other\.csv: no record of this work reads such a file; expected sim\.csv"):
        list(with_files(records, [Path("other.csv")]))


def test_stored_results_are_compared_and_others_are_new(file: Path) -> None:
    expects = [Expected(term="m", sign="-", directions=["sim-d01"], why="simulated")]
    asked = record("moderation", ("count", "x", "m"), **MODERATION, expects=expects)
    found = compute_conceptual(asked, [file])
    rows = conceptual_rows("sim", asked, found, 1, "1.2.0")
    assert (rows[1]["expected"], rows[1]["direction_ids"], rows[0]["expected"]) == ("-", "sim-d01", "")
    stored = [{**row, "cut": float("nan"), "n": int(row["n"])} for row in rows]
    new, lines = compare_conceptual(asked, found, stored)
    assert not new
    assert all(line.endswith("[as stored]") for line in lines)
    stored[1] = {**stored[1], "estimate": str(float(rows[1]["estimate"]) + 0.001)}
    marks = [line.rpartition(" [")[2] for line in compare_conceptual(asked, found, stored[:-1])[1]]
    assert (marks[1], marks[-1]) == ("differs]", "new]")


@pytest.mark.parametrize(
    ("sign", "low", "high", "said"),
    [
        ("+", 0.01, 0.2, "agrees"), ("+", -0.2, -0.01, "opposite"), ("+", -0.01, 0.2, "inconclusive"),
        ("-", -0.2, -0.01, "agrees"), ("-", 0.01, 0.2, "opposite"), ("-", 0.0, 0.2, "inconclusive"), ("", 0.1, 0.2, ""),
    ],
)  # fmt: skip
def test_agreement_needs_the_sign_and_an_interval_without_zero(sign: str, low: float, high: float, said: str) -> None:
    assert agreement(sign, low, high) == said


def test_the_page_counts_what_agrees_and_follows_the_data(dataset: Dataset) -> None:
    def counts(data: Dataset) -> dict[str, object]:
        found = conceptual_findings(data, "thornberg2022")
        return {name: number.value for name, number in found.sentences[0].values.items()}

    before = counts(dataset)
    assert before["k"] == before["agrees"] + before["opposite"] + before["inconclusive"] == 20
    table = dataset.table("conceptual.csv")
    turned = table.assign(estimate=-table["estimate"], ci_low=-table["ci_high"], ci_high=-table["ci_low"])
    after = counts(replace(dataset, tables={**dataset.tables, "conceptual.csv": turned}))
    assert (after["opposite"], after["agrees"]) == (before["agrees"], before["opposite"])
    assert before["agrees"] > before["opposite"] == 0


def test_a_work_without_a_record_says_nothing(dataset: Dataset) -> None:
    found = conceptual_findings(dataset, "thornberg2024")
    assert (found.tables, found.sentences) == ((), ())


def test_stored_rows_name_a_record_and_a_direction_and_lie_in_their_interval(dataset: Dataset) -> None:
    rows = dataset.table("conceptual.csv")
    rows = rows[rows["work"] == "marengo2021"].assign(line=2).head(3)
    records, directions = dataset.conceptual["marengo2021"], set(dataset.directions["direction_id"])
    assert not check_conceptual("f", Columns.of(rows), records, directions)
    wrong = rows.assign(record="krull", ci_low=9.0, direction_ids="marengo2021-d99")
    rules = [problem.rule for problem in check_conceptual("f", Columns.of(wrong), records, directions)]
    assert rules == ["unknown-record", "interval", "unknown-direction"] * 3
