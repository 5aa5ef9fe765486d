"""A topic of one's own: the folder that is made, a second topic of ten invented studies run from outside, the wheel."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

import replication as tsr
from replication import paths
from replication.dataset import load_dataset
from replication.errors import DataError, UserError
from replication.new_topic import make_topic
from replication.stored import read_outcome
from replication.study.codebook import codebook
from replication.study.form import form_html
from replication.study.submission import Rows
from replication.study.templates import table_template
from replication.study.workbook import Filled, workbook_bytes

ROOT = Path(__file__).parents[2]
OURS = re.compile(r"teacher|\bstudents?\b(?!'s t| t)|bully|bullied|pupil|roorda|udir|lærer|\belev|mobb", re.IGNORECASE)
"""Words of the topic this package was written for; a report on another one holds none of them."""
VOCABULARY = """
[construct.exercise]
label = "exercise"
label_nb = "trening"
short = "ex"
side = "exposure"
valence = 1

[construct.mood]
label = "low mood"
label_nb = "nedstemthet"
short = "mood"
side = "outcome"
valence = -1
"""
FINDING = """
from replication.analysis import Analysis
from replication.evidence.finding import QuestionPlan, finding
from replication.evidence.question import Question

PLANS = (QuestionPlan(question=Question("exercise-mood", "exercise with low mood", ("exercise",), "mood"),
                      claims=("walker2001-c1",), main=True),)
ANALYSIS = Analysis(id="mood", title="Exercise and low mood", question="Does exercise go with low mood?",
                    run=lambda context: finding(context, PLANS), plans=PLANS, kind="finding")
"""
REPRODUCTION = """
from replication.analysis import Analysis, Findings
from replication.claims import Recomputed
from replication.dataset import select

def run(context):
    rows = select(context.data, pair=("exercise", "mood")).rows
    return Findings(answers={"walker2001-c1": Recomputed(float(rows["value"].mean()))})

ANALYSIS = Analysis(id="walker2001", title="Walker (2001)", question="Does the printed mean hold?", run=run,
                    claims=("walker2001",))
"""
WORK = """key = "{0}"
since = "0.1.0"
kind = "primary_study"
role = "primary"
setting = "general"
quantitative = "yes"
"""
LOCALE = '[pages.site]\nname = "Exercise and mood"\n[pages.title]\nmood = "{0}"\n[pages.nav]\nmood = "{0}"\n'
VALUES = np.array([-0.31, -0.22, -0.35, -0.12, -0.28, -0.19, -0.41, -0.25, -0.08, -0.30])
COUNTRIES = ("Norway", "Peru", "Chad", "Spain", "Japan", "Norway", "Peru", "Chad", "Spain", "Japan")
NAMES = [f"walker20{i + 1:02d}" for i in range(10)]


def second_topic(folder: Path) -> Path:
    """Ten invented studies on exercise and low mood, one printed mean among them, in a project made by the command."""
    topic = make_topic(folder, "Exercise and mood")
    data, analyses = topic / "data" / "references", topic / "analyses"
    shutil.rmtree(data / "invented2024")
    (data / "traps.toml").write_text("trap = []\n", encoding="utf-8")
    with (data / "vocabulary.toml").open("a", encoding="utf-8") as vocabulary:
        vocabulary.write(VOCABULARY)
    entries = [f"@article{{{name},\n  author = {{Walker, A.}},\n  title = {{Invented study}},\n  year = {{2001}}\n}}\n"
               for name in NAMES]  # fmt: skip
    (data / "references.bib").write_text("".join(entries), encoding="utf-8")
    for name, r, country in zip(NAMES, VALUES, COUNTRIES, strict=True):
        work = data / name
        work.mkdir()
        (work / "work.toml").write_text(WORK.format(name), encoding="utf-8")
        (work / "samples.csv").write_text(
            f"sample_id,label,n,unit,country,since\n{name}_s1,Walkers,150,person,{country},0.1.0\n", encoding="utf-8"
        )
        (work / "effects.csv").write_text(
            "effect_id,sample_id,var_a,var_b,statistic,value,n,source,locator,reading,since\n"
            f"{name}-001,{name}_s1,exercise,mood,r,{r:.2f},150,invented,Table 1,table,0.1.0\n", encoding="utf-8"
        )  # fmt: skip
    (data / "walker2001" / "claims.csv").write_text(
        "claim_id,quantity,statistic,printed,locator,reading,since\n"
        "walker2001-c1,mean correlation: exercise with low mood,r,-.25,Table 3,table,0.1.0\n", encoding="utf-8"
    )  # fmt: skip
    for kind in ("findings", "reproductions"):
        shutil.rmtree(analyses / kind)
        (analyses / kind).mkdir()
    (analyses / "findings" / "mood.py").write_text(FINDING, encoding="utf-8")
    (analyses / "reproductions" / "walker2001.py").write_text(REPRODUCTION, encoding="utf-8")
    settings = 'languages = ["en", "nb"]\n[[finding]]\nname = "mood"\n'
    (analyses / "report.toml").write_text(settings, encoding="utf-8")
    for language, title in (("en", "Exercise and low mood"), ("nb", "Trening og nedstemthet")):
        (analyses / "locale" / f"{language}.toml").write_text(LOCALE.format(title), encoding="utf-8")
    return topic


def check_report(report: Path) -> None:
    """The claim has its verdict, the finding its estimate and its pages in both languages, in words of the topic."""
    verdicts = json.loads((report / "outcomes" / "walker2001.json").read_text(encoding="utf-8"))["checks"]
    # the plain mean of the ten is -.251, so the printed -.25 could have been printed of it
    assert [(c["claim"]["id"], c["verdict"]) for c in verdicts] == [("walker2001-c1", "MATCH")]
    estimates = tsr.findings(report).set_index("id")
    # all samples are of one size, so the mean on z is close to the mean of the ten z whatever the variance
    assert estimates.loc["exercise-mood-published-posterior", "value"] == pytest.approx(
        np.tanh(np.arctanh(VALUES).mean()), abs=0.01
    )
    with zipfile.ZipFile(report / "replication-bundle.zip") as bundle:  # draws lie there, and only there
        draws = pd.read_csv(bundle.open("replication-bundle/draws/mood/exercise-mood-published.csv"))
    assert list(draws) == ["chain", "draw", "within", "between", "country", "intercept"] and len(draws) == 1000
    assert np.tanh(draws["intercept"].median()) == pytest.approx(
        estimates.loc["exercise-mood-published-posterior", "value"], abs=0.01
    )
    assert "draws" not in read_outcome(report / "outcomes" / "mood.json.gz")
    english = (report / "findings" / "mood.html").read_text(encoding="utf-8")
    norwegian = (report / "nb" / "findings" / "mood.html").read_text(encoding="utf-8")
    assert "Exercise and mood" in english and "the more of the one, the less of the other" in english
    assert "Trening og nedstemthet" in norwegian and "desto mindre av det andre" in norwegian
    assert not (report / "article.html").exists()
    for page in report.rglob("*.html"):
        found = OURS.search(page.read_text(encoding="utf-8"))
        assert found is None, (page.name, found)


def test_the_folder_is_a_dataset_without_a_fault_and_without_words_of_ours(tmp_path: Path) -> None:
    topic = make_topic(tmp_path / "mine", 'Sleep "well": do the numbers hold?', ("en",))
    data = load_dataset(paths.data_dir(topic))
    assert data.article is None and data.vocabulary.person == "person" and len(data.effects) == 5
    assert not (topic / "analyses" / "locale" / "nb.toml").exists()
    for path in (p for p in topic.rglob("*") if p.is_file()):
        text = path.read_text(encoding="utf-8")
        assert not OURS.search(text) and "@TITLE@" not in text and "@LANGUAGES@" not in text, path
    with paths.working_on(topic):
        from replication.report.menu import make_menu
        from replication.report.words import load_words

        assert make_menu(paths.analyses_dir(), article=False).languages == ("en",)
        assert load_words("en").say("site.name") == 'Sleep "well": do the numbers hold?'
    assert paths.project_root() == ROOT  # the block is over


@pytest.mark.parametrize(
    ("title", "languages", "said"),
    [
        ("x", ("nb",), "begin with en"),
        ("x", ("en", "fr"), "known are en, nb"),
        (" ", ("en",), "title is empty"),
        ("a\nb", ("en",), "line break"),
    ],
)
def test_a_wrong_wish_leaves_no_folder(tmp_path: Path, title: str, languages: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make_topic(tmp_path / "mine", title, languages)
    assert list(tmp_path.iterdir()) == []


def test_columns_that_a_topic_leaves_out_are_not_shown_and_stay_in_the_schema(tmp_path: Path) -> None:
    """Nothing of schools in templates, workbook, form and codebook; a cell filled in all the same is shown."""
    vocabulary = load_dataset(paths.data_dir(make_topic(tmp_path / "mine"))).vocabulary
    gone = {"school_level", "schools", "grade", "ses", "facet", "quantity_key", "subgroup_key"}
    assert set(vocabulary.left_out) == gone
    book = openpyxl.load_workbook(io.BytesIO(workbook_bytes("walker2001", Filled({}), vocabulary)))
    heads = {cell.value for sheet in book for cell in sheet[1]}
    assert not heads & gone and {"sample_id", "age_mean", "variable"} <= heads
    template = table_template("samples.csv", "walker2001", "0.1.0", vocabulary)
    header, listed = template.splitlines()[0], template.partition("further columns you may add: ")[2]
    assert "age_mean" in header and not gone & {*header.split(","), *re.split(r"\W+", listed)}
    assert not [name for name in gone if f"| `{name}` |" in codebook(vocabulary)]
    assert not [name for name in gone if f'"name": "{name}"' in form_html(vocabulary)]
    assert "| `age_mean` |" in codebook(vocabulary) and '"name": "age_mean"' in form_html(vocabulary)
    filled = Filled({}, {"samples.csv": Rows(({"sample_id": "walker2001_s1", "grade": "8"},), (3,))})
    book = openpyxl.load_workbook(io.BytesIO(workbook_bytes("walker2001", filled, vocabulary)))
    assert "grade" in {cell.value for cell in book["samples"][1]}


@pytest.mark.parametrize(("name", "said"), [("sample_id", "must be filled"), ("schol", "no column of any table")])
def test_only_optional_columns_can_be_left_out(tmp_path: Path, name: str, said: str) -> None:
    topic = make_topic(tmp_path / "mine")
    file = paths.data_dir(topic) / "vocabulary.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("[left_out]\n", f'[left_out]\n{name} = "no"\n'), encoding="utf-8")
    with pytest.raises(DataError, match=said):
        load_dataset(paths.data_dir(topic))


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="not empty"):
        make_topic(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_second_topic_runs_from_python_and_the_example_by_the_command(tmp_path: Path) -> None:
    """The library on ten invented studies; the command on the example, from another folder, with its own protocol."""
    topic = second_topic(tmp_path / "second")
    report = tsr.run_project(topic)
    assert report == topic / "reports" / "latest" and paths.project_root() == ROOT
    check_report(report)
    assert len(tsr.load_dataset(topic).effects) == 10
    with pytest.raises(UserError, match="is no project"):
        tsr.run_project(tmp_path)


def command(cwd: Path, *arguments: str, package: Path = ROOT) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "PYTHONPATH": str(package), "COLUMNS": "120", "XDG_CACHE_HOME": str(cwd / "cache")}
    line = [sys.executable, "-m", *arguments]
    return subprocess.run(line, cwd=cwd, env=given, capture_output=True, text=True, timeout=600, check=False)


def test_every_command_works_on_the_project_it_is_given(tmp_path: Path) -> None:
    assert command(tmp_path, "replication.new_topic", "mine").returncode == 0
    listed = command(tmp_path, "replication.run", "--data", "mine", "--list")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["invented2024", "wellbeing"]
    done = command(tmp_path, "replication.run", "invented2024", "--data", "mine", "-q")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine" / "reports" / "partial" / "index.html").exists()
    assert command(tmp_path, "replication.study", "check", "--data", "mine").stdout == "the dataset: nothing to mend.\n"
    again = command(tmp_path, "replication.new_topic", "mine")
    assert again.returncode == 1 and again.stderr.count("\n") == 1 and "not empty" in again.stderr
    broken = tmp_path / "mine" / "analyses" / "report.toml"
    broken.write_text('languages = ["fr"]\n', encoding="utf-8")
    said = command(tmp_path, "replication.run", "invented2024", "--data", "mine")
    assert said.returncode == 1 and "report.toml, languages" in said.stderr and "Traceback" not in said.stderr
    given = ("--author", "Walker, A", "--title", "Invented", "--year", "2001", "--design", "invented")
    words = ("--kind", "primary_study", "--role", "primary", "--setting", "clinic")
    made = command(tmp_path, "replication.study", "new", "walker2001", "--data", "mine", *given, *words)
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "mine" / "data" / "references" / "walker2001"
    example = (folder / "effects.csv").read_text(encoding="utf-8").rpartition("# example: ")[2]
    assert example.startswith("walker2001-001,walker2001_s1,sleep,wellbeing,r,") and "self" in example
    assert not any(OURS.search(path.read_text(encoding="utf-8")) for path in folder.iterdir())


@pytest.mark.release
def test_the_installed_wheel_runs_a_second_topic_and_says_what_it_needs_without_one(tmp_path: Path) -> None:
    """The wheel, built and installed into a folder of its own, knows nothing of the checkout it was made in."""
    built, home = tmp_path / "wheel", tmp_path / "site"
    copy = tmp_path / "source"  # setuptools leaves build/ beside what it builds
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "reports", "build", "*.egg-info", "__pycache__"))
    line = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(copy)]
    subprocess.run(line, check=True, capture_output=True)
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(home), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    away = tmp_path / "away"
    away.mkdir()
    code = "import replication as r; print(r.__file__); print(len(r.load_dataset().works))"
    said = subprocess.run([sys.executable, "-c", code], cwd=away, env={**os.environ, "PYTHONPATH": str(home)},
                          capture_output=True, text=True, check=True).stdout.splitlines()  # fmt: skip
    assert said[0].startswith(str(home)) and int(said[1]) == len(load_dataset(paths.data_dir()).works)
    without = command(away, "replication.run", package=home)
    assert without.returncode == 1 and without.stderr.count("\n") == 1 and "--data DIR" in without.stderr
    topic = second_topic(tmp_path / "second")
    done = command(away, "replication.run", "--data", str(topic), "--no-sampling", package=home)
    assert done.returncode == 0, done.stderr
    check_report(topic / "reports" / "latest")
    assert (
        command(away, "replication.run", "--data", str(topic), "--no-sampling", "--check", package=home).returncode == 0
    )
