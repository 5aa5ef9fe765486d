"""`study compute` and what a file leaves open: codes, encodings, persons twice, two tables. All files are simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest
import rdata

from replication.dataset.recipes import Recipe
from replication.errors import UserError
from replication.study.microdata import compute_recipe
from replication.study.microdata.questions import standing_apart
from replication.study.microdata.survey_files import read_columns

RNG_SEED = 7


def record(**keys: object) -> Recipe:
    measures = [
        {"variable": "positive", "measure": "care", "items": ["A"], **keys.pop("a", {})},  # type: ignore[dict-item]
        {"variable": "engagement", "measure": "like", "items": ["B"]},
    ]
    base = {"sample": "s", "source": "simulated", "file": ["f.csv"], "verified": "simulated", "measure": measures}
    return Recipe.model_validate(base | {"cluster": ["S"], "effective": "design"} | keys)


def students() -> pd.DataFrame:
    """500 simulated students in 25 schools: an answer of 1 to 4, a score, a number of their own."""
    rng = np.random.default_rng(RNG_SEED)
    latent = rng.normal(size=500)
    answer = np.clip(np.round(2.5 + latent), 1, 4)
    score = 0.5 * latent + rng.normal(scale=0.9, size=500)
    return pd.DataFrame({"ID": np.arange(500), "S": np.arange(500) % 25, "A": answer, "B": score})


def written(tmp_path: Path, frame: pd.DataFrame, name: str = "f.csv") -> list[Path]:
    path = tmp_path / name
    frame.to_csv(path, index=False)
    return [path]


@pytest.mark.parametrize(("code", "share"), [(-99.0, 0.06), (9999999.0, 0.002), (9.0, 0.1), (99.0, 0.02)])
def test_a_code_among_answers_is_asked_about(tmp_path: Path, code: float, share: float) -> None:
    """Undeclared it would pull r towards nothing; with a scale, or named as missing, it is what it was."""
    frame = students()
    truth = compute_recipe(record(), written(tmp_path, frame)).rows[0].r
    coded = np.random.default_rng(1).random(500) < share
    coded[3] = True
    paths = written(tmp_path, frame.assign(A=np.where(coded, code, frame["A"])))
    with pytest.raises(
        UserError, match=rf"column A: found {code:.0f} in {coded.sum()} of 500 answers.*scale = \[1, 4\]"
    ):
        compute_recipe(record(), paths)
    scaled = compute_recipe(record(a={"scale": [1, 4]}), paths).rows[0]
    named = compute_recipe(record(missing=[code]), paths).rows[0]
    # In words: from Python 3.13 on two records with a NaN in the same place are no longer equal.
    assert repr(scaled) == repr(named) and scaled.n == 500 - coded.sum()
    assert scaled.r == pytest.approx(truth, abs=0.05)


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 4],
        [0, 1],
        [1, 2, 3, 4, 5, 6, 7],
        [0, 99],
        np.linspace(-3, 3, 50),
        [-2.1, -1.0, 0.3, 2.2],
        [0, 1, 2, 4],
    ],
)
def test_ordinary_scales_are_not_asked_about(values: list[float]) -> None:
    assert standing_apart(np.array(values, dtype=float)) == ()


@pytest.mark.parametrize(
    ("values", "apart"),
    [
        ([1, 2, 3, 4, 8, 9], (8, 9)),
        ([0, 1, 2, -9, -8], (-9, -8)),
        ([1, 2, 3, 4, 5, 97, 98, 99], (97, 98, 99)),
        ([-1.5, 0.2, 1.7, 9997], (9997,)),
        ([1, 2, 3, 400], (400,)),
    ],
)
def test_codes_at_either_end_are_found(values: list[float], apart: tuple[float, ...]) -> None:
    assert standing_apart(np.array(values, dtype=float)) == apart


def test_plausible_values_with_a_code_are_asked_about(tmp_path: Path) -> None:
    frame = students().assign(PV=lambda f: 500 + 100 * f["B"])
    frame.loc[5, "PV"] = 9999.0
    measures = [
        {"variable": "positive", "measure": "care", "items": ["A"], "scale": [1, 4]},
        {"variable": "achievement", "measure": "test", "plausible": ["PV"]},
    ]
    with pytest.raises(UserError, match="column PV: found 9999 in 1 of 500"):
        compute_recipe(record(measure=measures), written(tmp_path, frame))


def test_a_file_under_itself_is_asked_about_and_settled_by_an_id(tmp_path: Path) -> None:
    frame = students()
    once = compute_recipe(record(), written(tmp_path, frame)).rows[0]
    twice = written(tmp_path, pd.concat([frame, frame]))
    with pytest.raises(UserError, match="found rows 501 to 1000 repeat earlier rows in the same order"):
        compute_recipe(record(), twice)
    found = compute_recipe(record(id=["ID"]), twice)
    assert repr(found.rows[0]) == repr(once) and once.n == 500
    assert found.notes == ("f.csv: 500 rows repeat a person (ID) and count once",)


def test_a_part_of_a_file_twice_is_asked_about(tmp_path: Path) -> None:
    frame = students()
    with pytest.raises(UserError, match="found rows 501 to 540 repeat"):
        compute_recipe(record(), written(tmp_path, pd.concat([frame, frame[200:240]])))


def test_like_answers_of_many_persons_are_no_copies(tmp_path: Path) -> None:
    """Few possible answers, sorted by them: the same rows by the hundred, and nobody twice."""
    frame = students().assign(B=lambda f: np.round(f["B"])).sort_values(["A", "B", "S"])
    assert compute_recipe(record(), written(tmp_path, frame)).rows[0].n == 500


def test_an_id_with_different_answers_is_no_id(tmp_path: Path) -> None:
    frame = students()
    with pytest.raises(UserError, match="twice with different answers"):
        compute_recipe(record(id=["S"]), written(tmp_path, frame))


def test_two_values_for_one_sample_are_asked_about(tmp_path: Path) -> None:
    frame = students().assign(CNT=np.where(np.arange(500) % 2 == 0, "NOR", "nor"))
    with pytest.raises(UserError, match='found "NOR" and "nor", which both give the sample s_nor'):
        compute_recipe(record(sample="s_{}", each="CNT"), written(tmp_path, frame))


def test_old_text_in_a_csv_file_is_read_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes("A,T\n1,skølen\n2,x\n".encode("windows-1252"))
    table = read_columns([path], ["A", "T"])
    assert table.frame["T"].tolist() == ["skølen", "x"]
    assert "read as windows-1252 (--encoding names another)" in table.notes[0]
    assert read_columns([path], ["T"], encoding="cp850").frame["T"][0] != "skølen"
    with pytest.raises(UserError, match='no encoding is called "klingon"'):
        read_columns([path], ["T"], encoding="klingon")


def test_old_text_in_an_spss_file_is_read_with_a_note(tmp_path: Path) -> None:
    """A label and a cell with bytes of the old encoding in a file that says UTF-8."""
    path = tmp_path / "f.sav"
    pyreadstat.write_sav(pd.DataFrame({"A": [1.0, 2.0], "T": ["skølen", "x"]}), str(path), column_labels=["lærer", ""])
    content = path.read_bytes()
    for word in ("lærer", "skølen"):
        content = content.replace(word.encode(), word.encode("windows-1252") + b" ")
    path.write_bytes(content)
    table = read_columns([path], ["A", "T"])
    assert table.frame["T"].tolist() == ["skølen", "x"] and "windows-1252" in table.notes[0]


def test_two_tables_in_an_r_file_are_not_chosen_from(tmp_path: Path) -> None:
    frame = students()
    path = tmp_path / "f.rda"
    rdata.write_rda(path, {"one": frame, "two": frame[:200], "other": frame[["A"]]})
    with pytest.raises(UserError, match=r"found 2 tables with all columns of the recipe \(500 and 200 rows\)"):
        read_columns([path], ["A", "B"])
    rdata.write_rda(path, {"one": frame, "other": frame[["A"]]})
    assert len(read_columns([path], ["A", "B"]).frame) == 500


def test_two_columns_that_differ_in_case_are_not_chosen_from(tmp_path: Path) -> None:
    paths = written(tmp_path, students().assign(a=1.0).rename(columns={"A": "aA", "a": "Aa"}))
    with pytest.raises(UserError, match="found columns aA, Aa for AA"):
        read_columns(paths, ["AA"])
