"""`study export`: what other programs get. The package is valid, nothing runs in a spreadsheet, R finds the same."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.shared.masem_answers import FULL_MEDIATION, NAMES, samples45
from replication import paths
from replication.dataset import Dataset, Selection, select
from replication.errors import UserError
from replication.evidence.pooling import pool
from replication.formulas import harmless
from replication.models.masem.stage1 import fit_stage1_random
from replication.models.masem.stage2 import fit_stage2
from replication.study.exporting import export_dataset
from replication.study.exporting.layouts import matrix_table
from tests.cli.conftest import Command
from tests.data.small import Small


@pytest.fixture(scope="module")
def package(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "package"
    export_dataset(dataset, folder, paths.data_dir() / "references.bib")
    return folder


def validated(package: Path) -> Callable[[], object]:
    frictionless = pytest.importorskip("frictionless")
    return frictionless.validate(str(package / "datapackage.json"))  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore")
def test_the_frictionless_validator_accepts_the_package(package: Path) -> None:
    report = validated(package)
    assert report.valid, report.flatten(["type", "message"])[:5]  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore")
def test_the_validator_would_see_a_broken_cell(package: Path, tmp_path: Path) -> None:
    """The descriptor constrains: an r as a word, an unknown construct and an unknown sample are refused."""
    broken = tmp_path / "broken"
    shutil.copytree(package, broken)
    path = broken / "data/effects.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = list(csv.reader(lines))
    place = {name: i for i, name in enumerate(rows[0])}
    rows[1][place["value"]], rows[2][place["var_a"]], rows[3][place["sample_id"]] = "high", "mood", "nowhere"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    kinds = {kind for (kind,) in validated(broken).flatten(["type"])}  # type: ignore[attr-defined]
    assert {"type-error", "constraint-error", "foreign-key"} <= kinds


def test_csv_and_parquet_hold_every_row(package: Path, dataset: Dataset) -> None:
    for name in ("effects", "samples", "measures", "claims", "directions", "screened", "leads"):
        table = dataset.table(f"{name}.csv")
        assert len(pd.read_parquet(package / f"data/{name}.parquet")) == len(table)
        with (package / f"data/{name}.csv").open(encoding="utf-8", newline="") as stream:
            assert sum(1 for _ in csv.reader(stream)) == len(table) + 1
    effects = pd.read_parquet(package / "data/effects.parquet")
    assert np.array_equal(effects["value"], dataset.effects["value"])


def test_the_descriptor_names_licence_sources_and_keys(package: Path, dataset: Dataset) -> None:
    record = json.loads((package / "datapackage.json").read_text(encoding="utf-8"))
    assert record["licenses"][0]["name"] == "CC-BY-4.0"
    assert len(record["sources"]) == len(dataset.works)
    effects = next(resource for resource in record["resources"] if resource["name"] == "effects")
    assert effects["schema"]["primaryKey"] == ["effect_id"]
    assert {key["reference"]["resource"] for key in effects["schema"]["foreignKeys"]} == {"works", "samples"}


def test_no_cell_runs_in_a_spreadsheet(package: Path) -> None:
    for path in (package / "data").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream)
            next(rows)
            for row in rows:
                for cell in row:
                    assert not cell.startswith(("=", "@", "\t", "\r")), (path.name, cell)
                    if cell.startswith(("+", "-")) and len(cell) > 1 and cell != "-2LL":
                        float(cell.removesuffix("%"))


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-1+cmd", "'-1+cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("-.32", "-.32"),
        ("+.2", "+.2"),
        ("-15%", "-15%"),
        ("-", "-"),
        ("r = .35", "r = .35"),
    ],
)
def test_formula_injection(cell: str, safe: str) -> None:
    assert harmless(cell) == safe


def test_the_long_file_has_z_and_its_variance(package: Path) -> None:
    rows = pd.read_csv(package / "metafor_long.csv")
    plain = rows[(rows["statistic"] == "r") & rows["n_effective"].isna()]
    assert np.allclose(plain["yi"], np.arctanh(plain["ri"]))
    assert np.allclose(plain["vi"], 1 / (plain["ni"] - 3))
    assert rows.loc[rows["statistic"] != "r", "yi"].isna().all()


def test_matrices_keep_missing_diagonals(dataset: Dataset) -> None:
    """The thirteen unused correlations stand at a missing diagonal, which is what metaSEM goes by."""
    stacked = matrix_table(dataset, ("positive", "negative", "engagement", "achievement"))
    public = stacked[stacked["work"] == "roorda2011"]
    names = ["positive", "negative", "engagement", "achievement"]
    usable = total = 0
    for _, block in public.groupby("sample_id"):
        matrix = block.set_index("variable").loc[names, names].to_numpy()
        known = np.isfinite(matrix)
        here = np.triu(known, 1)
        total += here.sum()
        usable += (here & np.outer(known.diagonal(), known.diagonal())).sum()
        assert np.array_equal(known, known.T)
    assert (usable, total) == (101, 114)


def test_a_project_says_what_its_export_is_called(
    dataset: Dataset, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name, script and matrix are the project's; without a word of it nothing of this topic is in the package."""
    assert "models.R" in (package / "README.md").read_text(encoding="utf-8")
    described = json.loads((package / "datapackage.json").read_text(encoding="utf-8"))
    assert described["name"] == "teacher-student-relationships"
    monkeypatch.setattr(paths, "analyses_dir", lambda: tmp_path / "analyses")
    export_dataset(dataset, tmp_path / "bare", paths.data_dir() / "references.bib")
    described = json.loads((tmp_path / "bare/datapackage.json").read_text(encoding="utf-8"))
    assert described["name"] == "dataset" and not (tmp_path / "bare/models.R").exists()
    said = (tmp_path / "bare/README.md").read_text(encoding="utf-8")
    assert "eacher" not in said and "models.R" not in said
    stacked = pd.read_csv(tmp_path / "bare/metasem_matrices.csv")
    assert set(dataset.vocabulary.constructs) <= set(stacked.columns)
    about = tmp_path / "analyses" / "export" / "about.toml"
    about.parent.mkdir(parents=True)
    about.write_text('matrix = ["positiv"]\n', encoding="utf-8")
    with pytest.raises(UserError, match="positive"):
        export_dataset(dataset, tmp_path / "wrong", paths.data_dir() / "references.bib")


def test_an_export_never_replaces_somebody_elses_folder(study: Command, small: Small, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear", encoding="utf-8")
    said = study("export", "--out", tmp_path / "mine", "--data", small.root)
    assert said.code == 1 and "not an export" in said.err
    assert study("export", "--out", tmp_path / "new", "--data", small.root).code == 0
    assert study("export", "--out", tmp_path / "new", "--data", small.root).code == 0
    assert (tmp_path / "mine/letter.txt").exists()


def test_r_finds_the_same_estimates(package: Path, dataset: Dataset, tmp_path: Path) -> None:
    """The script in metafor against this package's own pools, from the exported files alone."""
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    found = subprocess.run(["Rscript", "-e", "library(metafor)"], capture_output=True, check=False)
    if found.returncode:
        pytest.skip("the R package metafor is not installed")
    folder = tmp_path / "package"
    shutil.copytree(package, folder)
    subprocess.run(["Rscript", "models.R"], cwd=folder, check=True, capture_output=True)
    results = pd.read_csv(folder / "results.csv").set_index("model")
    for a, b in (("positive", "engagement"), ("negative", "achievement"), ("positive", "negative")):
        rows = select(dataset, pair=(a, b), works=["roorda2011"]).rows
        rows = rows[(rows["diagonal_a_missing"] == "no") & (rows["diagonal_b_missing"] == "no")]
        ours = pool(Selection(rows.reset_index(drop=True)), id="x", label="x").estimate
        theirs = results.loc[f"roorda2011-{a}-{b}"]
        assert ours.value == pytest.approx(theirs["estimate"], abs=1e-5)
        assert (ours.low, ours.high) == pytest.approx((theirs["lower"], theirs["upper"]), abs=1e-5)
        assert ours.tau2 == pytest.approx(theirs["tau2"], abs=1e-5)
    assert results.loc["schools-relations-bullying", "k"] == 221
    if "stage2-b31" in results.index:  # Debian has no metaSEM; where somebody has installed it, the last part runs
        stage1 = fit_stage1_random(samples45(dataset))
        for name, estimate in zip(combinations(NAMES, 2), stage1.pooled.r, strict=True):
            assert results.loc[f"stage1-{'-'.join(name)}", "estimate"] == pytest.approx(estimate, abs=1e-5)
        stage2 = fit_stage2(stage1, FULL_MEDIATION).fit
        for name, estimate in zip(stage2.names, stage2.beta, strict=True):
            assert results.loc[f"stage2-{name}", "estimate"] == pytest.approx(estimate, abs=1e-5)
