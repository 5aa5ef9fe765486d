"""`study compute` on whole international files: the same as each country's extract. Every file here is simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from replication.dataset import Dataset
from replication.dataset.recipes import WholeSurvey
from replication.errors import UserError
from replication.paths import data_dir
from replication.study.microdata.applied_recipes import compute_frame
from replication.study.microdata.whole_files import CountryResult, compute_whole, load_survey
from tests.cli.conftest import Command

MEASURES = [
    {"variable": "positive", "measure": "care", "items": ["Q{1..3}"], "reversed": ["Q3"], "scale": [1, 4]},
    {"variable": "engagement", "measure": "like", "items": ["LIKE"]},
    {"variable": "achievement", "measure": "test", "plausible": ["PV{1..5}"]},
]
SURVEYS = data_dir().parent / "surveys"


def survey(**persons: int) -> WholeSurvey:
    recipe = {
        "sample": "sim_{}", "source": "simulated", "file": ["all.csv"], "each": "CNT", "each_as": {"SWE": "sverige"},
        "weight": "W", "cluster": ["SCHOOL"], "effective": "design", "verified": "simulated", "measure": MEASURES,
        "replicate_weights": {"method": "fay", "columns": ["R{1..4}"]},
    }  # fmt: skip
    return WholeSurvey.model_validate(
        {"key": "sim", "title": "Simulated", "where": "made here", "recipe": recipe, "persons": persons}
    )


def country(name: str, n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=n)
    items = {f"Q{i}": np.clip(np.round(2.5 + latent + rng.normal(scale=0.8, size=n)), 1, 4) for i in (1, 2, 3)}
    items["Q3"] = 5 - items["Q3"]
    w = rng.uniform(1, 3, n)
    replicates = {f"R{i}": w * rng.choice([0.5, 1.5], n) for i in range(1, 5)}
    pv = {f"PV{i}": 500 + 40 * latent + rng.normal(scale=80, size=n) for i in range(1, 6)}
    like = 0.4 * latent + rng.normal(size=n)
    return pd.DataFrame(
        {"CNT": name, **items, **pv, "LIKE": like, "SCHOOL": np.arange(n) % 20 + 1.0, "W": w, **replicates}
    )


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Three countries of 300, 200 and 250 simulated students; their rows are mixed."""
    parts = [country("NOR", 300, 1), country("SWE", 200, 2), country("DNK", 250, 3)]
    return pd.concat(parts).sample(frac=1, random_state=4).reset_index(drop=True)


def written(folder: Path, frame: pd.DataFrame, suffix: str) -> Path:
    path = folder / f"all{suffix}"
    if suffix == ".sav":
        pyreadstat.write_sav(frame, str(path))
    elif suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix == ".csv":
        frame.to_csv(path, index=False, sep=";", decimal=",")
    else:
        frame.to_csv(path, index=False, sep="\t")
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".sav", ".csv", ".tsv"])
def test_each_country_is_what_its_extract_gives(tmp_path: Path, frame: pd.DataFrame, suffix: str) -> None:
    found = {r.value: r for r in compute_whole(survey(), written(tmp_path, frame, suffix), tmp_path / "cache")}
    assert {r.sample for r in found.values()} == {"sim_nor", "sim_sverige", "sim_dnk"}
    for value, result in found.items():
        one = survey().recipe.model_copy(update={"sample": result.sample, "each": "", "each_as": {}})
        extract = frame[frame["CNT"] == value].reset_index(drop=True)
        expected = compute_frame(one, extract, "extract").rows
        assert len(result.rows) == 3 and result.persons == len(extract)
        for ours, theirs in zip(result.rows, expected, strict=True):
            assert (ours.n, ours.measure_a, ours.measure_b) == (theirs.n, theirs.measure_a, theirs.measure_b)
            assert ours.r_weighted == pytest.approx(theirs.r_weighted, abs=1e-9)
            assert ours.n_effective == pytest.approx(theirs.n_effective, rel=1e-6)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = written(tmp_path, frame, ".csv")
    run = compute_whole(survey(), path, tmp_path / "cache")
    first = next(run)
    run.close()
    again = list(compute_whole(survey(), path, tmp_path / "cache"))
    assert [r.kept for r in again] == [True, False, False]
    assert again[0].rows[0].n_effective == pytest.approx(first.rows[0].n_effective)
    assert not any(r.kept for r in compute_whole(survey(), path, tmp_path / "cache", fresh=True))


def test_a_country_that_cannot_be_computed_stops_no_other(tmp_path: Path, frame: pd.DataFrame) -> None:
    """Sweden has no weight above 0, Denmark was asked neither test nor liking, 7 persons have no country."""
    broken = frame.copy()
    broken.loc[broken["CNT"] == "SWE", "W"] = 0.0
    broken.loc[broken["CNT"] == "DNK", [f"PV{i}" for i in range(1, 6)] + ["LIKE"]] = np.nan
    broken.loc[broken.index[broken["CNT"] == "NOR"][:7], "CNT"] = None
    path = written(tmp_path, broken, ".parquet")
    found = {r.value: r for r in compute_whole(survey(), path, tmp_path / "cache")}
    assert len(found["NOR"].rows) == 3 and found["NOR"].persons == 293
    assert "found no weight above 0" in found["SWE"].problem
    assert "not asked in this country: like, test" in found["DNK"].problem
    assert found[""].persons == 7 and "in no country" in found[""].problem


def test_a_measure_a_country_lacks_is_said(tmp_path: Path, frame: pd.DataFrame) -> None:
    partly = frame.assign(LIKE=frame["LIKE"].where(frame["CNT"] != "DNK"))
    found = {r.value: r for r in compute_whole(survey(), written(tmp_path, partly, ".parquet"), tmp_path / "cache")}
    assert found["DNK"].notes == ("not asked in this country: like",) and len(found["DNK"].rows) == 1


def test_the_codebooks_counts_tell_the_right_file(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = written(tmp_path, frame, ".parquet")
    assert list(compute_whole(survey(NOR=300, SWE=200, DNK=1), path, tmp_path / "cache"))
    with pytest.raises(UserError, match="found 1 of 3 countries with the persons of the codebook"):
        list(compute_whole(survey(NOR=300, SWE=2, DNK=1), path, tmp_path / "cache"))


def test_a_wrong_file_is_said(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = written(tmp_path, frame.drop(columns=["CNT", "W"]), ".parquet")
    with pytest.raises(UserError, match="has no column CNT, W; is it the student file"):
        list(compute_whole(survey(), path, tmp_path / "cache"))
    (tmp_path / "all.xlsx").write_bytes(b"x")
    with pytest.raises(UserError, match=r"should end in \.parquet"):
        list(compute_whole(survey(), tmp_path / "all.xlsx", tmp_path / "cache"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("students = 'many'", "broken.toml, "),
        ("students = ", "broken.toml cannot be read: "),
    ],
)
def test_a_broken_record_of_a_survey_is_said_like_any_settings_file(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "broken.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as found:
        load_survey("broken", tmp_path)
    assert str(found.value).startswith(said) and "\n" not in str(found.value)


@pytest.mark.parametrize("path", sorted(SURVEYS.glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_recipes_are_whole(path: Path) -> None:
    """Each names itself, a country column, a relationship and an outcome, and turns what its comments say is turned."""
    found = load_survey(path.stem, SURVEYS)
    assert found is not None and found.key == path.stem
    variables = {m.variable for m in found.recipe.measure}
    assert "positive" in variables and variables & {"engagement", "achievement", "victimization"}
    assert found.author and found.cycle in found.title.replace("2013/14", "2014").replace("2017/18", "2018")


@pytest.mark.parametrize("path", sorted(SURVEYS.glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_surveys_can_be_entered(dataset: Dataset, path: Path) -> None:
    """Every measure is described once, in the survey's record or by a folder that has it; every extract is held."""
    found = load_survey(path.stem, SURVEYS)
    assert found is not None
    described = {(m.variable, m.measure) for m in found.described}
    held = dataset.measures
    for measure in found.recipe.measure:
        rows = held[(held["variable"] == measure.variable) & (held["measure"] == measure.measure)]
        words = set(zip(rows["form"], rows["facet"], rows["scope"], strict=True))
        assert (measure.variable, measure.measure) in described or len(words) == 1, measure.measure
    assert set(found.extracts.values()) <= set(dataset.samples["sample_id"])


def hbsc(key: str, n: int = 400) -> pd.DataFrame:
    """A simulated file laid out as an open-access file of HBSC: Norway (578000), Sweden (752000), 20 classes each."""
    found = load_survey(key, SURVEYS)
    assert found is not None
    rng = np.random.default_rng(12)
    latent = rng.normal(size=2 * n)
    cells: dict[str, np.ndarray] = {}
    for measure in found.recipe.measure:
        low, high = measure.scale
        way = -1 if measure.variable in ("victimization", "perpetration") else 1
        for item in measure.columns:
            score = (1 if measure.reversed is not True else -1) * way * latent + rng.normal(size=2 * n)
            cells[item] = np.clip(np.round((low + high) / 2 + score), low, high)
    cells[found.recipe.each] = np.repeat([578000.0, 752000.0], n)
    cells[found.recipe.cluster[0]] = np.arange(2 * n) // 20 + 1.0
    if found.recipe.weight:
        cells[found.recipe.weight] = rng.uniform(0.5, 2, 2 * n)
    return pd.DataFrame(cells)


@pytest.mark.parametrize("key", ["hbsc2014", "hbsc2018"])
def test_hbsc_files_are_read_in_their_form(tmp_path: Path, key: str) -> None:
    """Semicolons, decimal commas, blanks for missing; a good relationship goes with less bullying, as simulated."""
    found = load_survey(key, SURVEYS)
    assert found is not None
    made = found.model_copy(update={"persons": {"578000": 400, "752000": 400}})
    frame = hbsc(key)
    frame.loc[:5, "beenbullied"] = np.nan
    path = tmp_path / "HBSC.csv"
    frame.to_csv(path, index=False, sep=";", decimal=",")
    results: dict[str, CountryResult] = {r.sample: r for r in compute_whole(made, path, tmp_path / "cache")}
    assert set(results) == {f"{key}_norway", f"{key}_sweden"}
    rows = {(r.var_a, r.measure_a, r.measure_b): r for r in results[f"{key}_norway"].rows}
    bullied, bullies = rows["positive", "teachers", "beenbullied"], rows["positive", "teachers", "bulliedothers"]
    assert bullied.n == 394 and bullied.r < -0.4 and bullies.r < -0.4
    assert rows["positive", "teachers", "likeschool"].r > 0.4


def test_the_command_says_each_country_and_writes_rows(
    study: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.paths.cache_dir", lambda root=None: tmp_path / "cache")
    path = tmp_path / "HBSC.csv"
    hbsc("hbsc2018").to_csv(path, index=False, sep=";", decimal=",")
    said = study("compute", "hbsc2018", "--file", path)
    assert said.code == 1 and "found 0 of 2 countries with the persons of the codebook" in said.err
