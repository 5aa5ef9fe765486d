"""The four findings on the real data, pinned in a reviewed snapshot; and the same data with signs turned."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from replication import paths
from replication.analysis import Context, Outcome, load_analysis, plain, run_analysis
from replication.dataset import Dataset
from replication.report.words import load_words
from replication.workflow import Request
from tests.english import english_words, labels_of, share_of
from tests.findings.snapshot import FINDINGS, PINNED, VERSION, Kept, outcome_of, told

TOLERANCE = 0.002
"""A posterior is integrated to a thousandth; anything larger is another answer."""


@pytest.fixture(scope="module")
def outcomes(dataset: Dataset) -> dict[str, Outcome]:
    pinned = dataset.as_of(VERSION)
    return {name: outcome_of(name, pinned) for name in FINDINGS}


@pytest.fixture(scope="module")
def findings(outcomes: dict[str, Outcome]) -> dict[str, dict[str, Any]]:
    return {name: json.loads(json.dumps(told(outcome))) for name, outcome in outcomes.items()}


@pytest.mark.parametrize("name", FINDINGS)
def test_every_label_of_a_finding_has_its_norwegian_words(
    outcomes: dict[str, Outcome], dataset: Dataset, name: str
) -> None:
    cited = {key: reference.short for key, reference in dataset.references.items()}
    words = replace(load_words("nb"), names=cited)
    labels = {json.dumps(label): label for label in labels_of(json.loads(json.dumps(plain(outcomes[name]))))}
    share, holding = share_of(map(words.label, labels.values()), english_words(), dataset)
    assert share < 0.02, holding


def close(ours: object, theirs: object) -> bool:
    """Equal but for the last digit of a number."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(close(a, b) for a, b in zip(ours, theirs, strict=True))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(close(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, float) and isinstance(theirs, float | int):
        return math.isclose(ours, theirs, abs_tol=TOLERANCE)
    return ours == theirs


@pytest.mark.parametrize("name", FINDINGS)
@pytest.mark.parametrize("part", ["estimates", "sentences", "tables"])
def test_the_snapshot_holds(findings: dict[str, dict[str, Any]], name: str, part: str) -> None:
    ours, pinned = findings[name][part], json.loads(PINNED.read_text(encoding="utf-8"))[name][part]
    if part == "tables":  # numbers within text are compared as text would be: without them
        ours, pinned = ({k: [row[:4] for row in t] for k, t in tables.items()} for tables in (ours, pinned))
    items = (ours.items(), pinned.items()) if isinstance(ours, dict) else (enumerate(ours), enumerate(pinned))
    found, expected = (dict(each) for each in items)
    wrong = {
        k: (found.get(k), expected.get(k)) for k in {*found, *expected} if not close(found.get(k), expected.get(k))
    }
    assert not wrong, "review, then python -m tests.findings.snapshot"


def test_a_postponed_average_moves_nothing_but_what_is_said_of_it(dataset: Dataset) -> None:
    """Certainty above all: a run that does not compute the average makes nobody surer, or less sure."""
    analysis = load_analysis(paths.analyses_dir() / "findings" / "achievement.py")
    outcome = run_analysis(analysis, Context(dataset.as_of(VERSION), postpones=("*",)))
    assert outcome.postponed == ("bias-quality-achievement",)
    ours, pinned = json.loads(json.dumps(told(outcome))), json.loads(PINNED.read_text(encoding="utf-8"))["achievement"]
    assert close(ours["estimates"], pinned["estimates"])
    for said in (ours, pinned):  # numbers within text are compared as text would be: without them
        said["tables"] = {k: [row[:4] for row in t] for k, t in said["tables"].items() if not k.startswith("bias-")}
        said["sentences"] = [one for one in said["sentences"] if not one[1].startswith("bias.together")]
    assert close(ours["tables"], pinned["tables"]) and any(name.startswith("certainty-") for name in ours["tables"])
    assert close(ours["sentences"], pinned["sentences"])


def turned(data: Dataset, outcome: str) -> Dataset:
    """A copy in which every correlation with an outcome has the opposite sign."""
    effects = data.effects.copy()
    rows = (effects["var_a"] == outcome) | (effects["var_b"] == outcome)
    for column in ("value", "value_weighted"):
        effects.loc[rows, column] = -effects.loc[rows, column]
    return replace(data, tables={**data.tables, "effects.csv": effects}, digest=data.digest + " turned")


@pytest.fixture(scope="module")
def opposite(dataset: Dataset) -> dict[str, Any]:
    """The finding on bullying with every correlation of being bullied turned."""
    outcome = outcome_of("bullying", turned(dataset.as_of(VERSION), "victimization"))
    found: dict[str, Any] = json.loads(json.dumps(told(outcome)))
    return found


def test_turned_data_turn_every_sentence_about_them(
    findings: dict[str, dict[str, Any]], opposite: dict[str, Any]
) -> None:
    """Being bullied: less becomes more, each estimate its opposite with its ends exchanged, certainty stays."""
    ours = opposite
    before = findings["bullying"]
    keys = [{s[1] for s in found["sentences"] if s[0] == "answer"} for found in (before, ours)]
    assert "answer.victimization.less" in keys[0] and "answer.victimization.more" in keys[1]
    assert "answer.victimization.more" not in keys[0] and "answer.victimization.less" not in keys[1]
    for name, (value, low, high, *_) in before["estimates"].items():
        if "-victimization" in name and "updated" not in name and value is not None:
            mirrored = [ours["estimates"][name][0], ours["estimates"][name][2], ours["estimates"][name][1]]
            assert mirrored == pytest.approx([-value, -low, -high], abs=2 * TOLERANCE), name
    steps = [[row[:3] for row in found["tables"]["certainty-quality-victimization"]] for found in (before, ours)]
    assert steps[0] == steps[1]


def test_no_sentence_about_the_data_is_the_same_when_they_are_turned(
    findings: dict[str, dict[str, Any]], opposite: dict[str, Any]
) -> None:
    """Every sentence with a correlation of the question in it says another number or is another sentence."""
    ours = opposite["sentences"]
    # what would change a grade is said with a hypothetical r of 0, whatever the data
    said = [s for s in findings["bullying"]["sentences"] if s[0] != "change"]
    about = [s for s in said if {"r", "sample_low", "without"} & s[2].keys()]
    affected = [s for s in about if "perpetration" not in s[1] and s[2].get("question") != "quality-perpetration"]
    assert len(affected) > 4
    assert not [s for s in affected if s in ours and s[0] != "sure"]


def test_the_kept_recovery_study_is_of_the_code_as_it_stands(dataset: Dataset, tmp_path: Path) -> None:
    """It is looked for among what is kept alone: drawn anew, it would take each fresh clone half a minute."""
    seed = signature(Request).parameters["seed"].default
    analysis = load_analysis(paths.analyses_dir() / "simulated" / "bullying_roles_simulated.py")
    outcome = run_analysis(analysis, Context(dataset, seed, Kept(tmp_path)))
    assert [len(table.rows) for table in outcome.tables] == [30]  # nine slopes and an sd of each of three roles
