"""The rules of certainty, each tried on both sides of its threshold: constructed inputs, one change at a time."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from replication.errors import DataError
from replication.evidence.certainty import (
    DOMAINS,
    BiasModel,
    Certainty,
    Inputs,
    Part,
    certainty_of,
    grade_of,
    load_thresholds,
    lowest,
)

STRONG = Part(5, 0.30, 0.20, 0.40)
SURE = Inputs(
    centre=0.30,
    low=0.25,
    high=0.35,
    spread=0.05,
    samples=40,
    groups=20,
    countries=("Norway", "Spain"),
    different=STRONG,
    direct=STRONG,
    indirect_share=0.2,
    missing=0.05,
    published=20,
    models=(BiasModel("a", True, 0.28, 0.2, 0.36), BiasModel("b", True, 0.27, 0.15, 0.36)),
    open=STRONG,
    adjusted=3,
    lagged=3,
)


def judged(**changes: object) -> Certainty:
    return certainty_of(replace(SURE, **changes))[0]  # type: ignore[arg-type]


def test_nothing_against_it_is_high_in_every_domain() -> None:
    found = judged()
    assert [d.domain for d in found.decisions] == list(DOMAINS)
    assert [d.step for d in found.decisions] == [0] * 5
    assert (found.start, found.total, found.grade, found.target) == (4, 4, "high", 0.10)


@pytest.mark.parametrize(
    ("domain", "step", "because", "changes"),
    [
        # risk of bias: the estimate among different informants decides
        ("risk_of_bias", 0, "holds", {"different": Part(3, 0.10, -0.1, 0.3)}),
        ("risk_of_bias", -1, "short", {"different": Part(3, 0.099, 0.05, 0.3)}),
        ("risk_of_bias", -2, "opposite", {"different": Part(3, -0.01, -0.1, 0.3)}),
        ("risk_of_bias", -1, "few", {"different": Part(2, 0.30, 0.2, 0.4)}),
        ("risk_of_bias", -1, "few", {"different": None}),
        ("risk_of_bias", 0, "holds", {"missing": 0.20}),
        ("risk_of_bias", -1, "holds", {"missing": 0.201}),
        ("risk_of_bias", 0, "holds", {"missing": float("nan")}),
        ("risk_of_bias", -2, "few", {"missing": 0.5, "different": None}),
        # inconsistency: z(.30) - z(.10) = .2092; a tenth lies below at a spread of .2092 / 1.2816 = .1632
        ("inconsistency", 0, "holds", {"spread": 0.163}),
        ("inconsistency", -1, "short", {"spread": 0.1635}),
        # z(.30) = .3095; a quarter below zero at .3095 / .6745 = .4589
        ("inconsistency", -1, "short", {"spread": 0.458}),
        ("inconsistency", -2, "opposite", {"spread": 0.460}),
        ("inconsistency", 0, "holds", {"spread": 0.0}),
        ("inconsistency", -1, "few", {"samples": 2}),
        # indirectness: measures, then countries
        ("indirectness", 0, "holds", {"indirect_share": 0.50, "direct": None}),
        ("indirectness", -1, "measures", {"indirect_share": 0.51, "direct": None}),
        ("indirectness", 0, "holds", {"indirect_share": 0.51}),
        ("indirectness", -1, "measures", {"indirect_share": 0.51, "direct": Part(3, 0.09, 0.0, 0.2)}),
        ("indirectness", -1, "measures", {"indirect_share": 0.51, "direct": Part(2, 0.30, 0.2, 0.4)}),
        ("indirectness", 0, "holds", {"countries": ("Germany",)}),
        ("indirectness", -1, "countries", {"countries": ("Spain",)}),
        ("indirectness", -1, "countries", {"countries": ()}),
        ("indirectness", -2, "both", {"countries": (), "indirect_share": 0.9, "direct": None}),
        # imprecision
        ("imprecision", 0, "holds", {"low": 0.10}),
        ("imprecision", -1, "target", {"low": 0.099}),
        ("imprecision", -1, "target", {"low": 0.001}),
        ("imprecision", -2, "zero", {"low": -0.001}),
        ("imprecision", 0, "holds", {"samples": 10}),
        ("imprecision", -1, "few", {"samples": 9}),
        ("imprecision", 0, "holds", {"groups": 6}),
        ("imprecision", -1, "few", {"groups": 5}),
        # publication bias: two adequate models that cross, unless open data clear it
        ("publication_bias", 0, "open_only", {"published": 0, "models": ()}),
        ("publication_bias", 0, "not_judged", {"models": ()}),
        ("publication_bias", -1, "unknown", {"models": (), "open": None}),
        ("publication_bias", -1, "unknown", {"models": (SURE.models[0],), "open": Part(5, 0.2, 0.09, 0.3)}),
    ],
)  # fmt: skip
def test_each_rule_on_both_sides(domain: str, step: int, because: str, changes: dict[str, object]) -> None:
    found = judged(**changes)
    decision = next(d for d in found.decisions if d.domain == domain)
    assert (decision.step, decision.because) == (step, because)
    others = [d.step for d in found.decisions if d.domain != domain]
    assert others == [0] * 4 or domain in ("inconsistency", "indirectness")  # one change moves one domain


CROSS = BiasModel("x", True, 0.15, 0.099, 0.3)


@pytest.mark.parametrize(
    ("models", "open_", "step"),
    [
        ((CROSS, CROSS), None, -1),
        ((CROSS, SURE.models[0]), None, 0),  # one model is not enough
        ((CROSS, replace(CROSS, adequate=False), SURE.models[0]), None, 0),  # nor one that may not be read
        ((CROSS, CROSS), Part(3, 0.2, 0.10, 0.3), 0),
        ((CROSS, CROSS), Part(3, 0.2, 0.099, 0.3), -1),
        ((CROSS, CROSS), Part(2, 0.2, 0.15, 0.3), -1),
        ((replace(CROSS, low=0.10), replace(CROSS, low=0.10)), None, 0),
    ],
)
def test_models_of_bias_and_open_data(models: tuple[BiasModel, ...], open_: Part | None, step: int) -> None:
    assert judged(models=models, open=open_).step("publication_bias") == step


def test_turning_every_sign_changes_no_grade() -> None:
    def turned(part: Part) -> Part:
        return Part(part.samples, -part.centre, -part.high, -part.low)

    models = tuple(BiasModel(m.name, m.adequate, -m.value, -m.high, -m.low) for m in (CROSS, CROSS))
    negative = judged(
        centre=-0.30, low=-0.35, high=-0.25, different=turned(STRONG), direct=turned(STRONG), models=models, open=None
    )
    positive = judged(models=(CROSS, CROSS), open=None)
    assert [(d.step, d.because) for d in negative.decisions] == [(d.step, d.because) for d in positive.decisions]


def test_below_a_tenth_the_target_is_the_sign_alone() -> None:
    weak = judged(centre=0.099, low=0.05, high=0.15, spread=0.02)
    assert weak.target == 0.0
    assert weak.step("imprecision") == 0
    assert judged(centre=0.10, low=0.05, high=0.15, spread=0.0).step("imprecision") == -1
    assert certainty_of(replace(SURE, centre=0.05, low=0.02), target=0.10)[0].step("imprecision") == -1  # held


def test_grades_are_cut_to_their_range_and_a_chain_is_its_weakest() -> None:
    assert [grade_of(n) for n in (-3, 1, 2, 3, 4, 9)] == ["very_low", "very_low", "low", "moderate", "high", "high"]
    assert lowest(["high", "low", "moderate"]) == "low"


@pytest.mark.parametrize(
    ("changes", "grade"),
    [
        ({}, "low"),  # starts low and stays there with adjusted and lagged rows
        ({"adjusted": 2}, "very_low"),
        ({"lagged": 2}, "very_low"),
        ({"adjusted": 0, "lagged": 0}, "very_low"),
        ({"different": None, "countries": ()}, "very_low"),  # an unsure association
    ],
)
def test_cause_starts_low_and_is_never_raised(changes: dict[str, object], grade: str) -> None:
    assert certainty_of(replace(SURE, **changes))[1].grade == grade  # type: ignore[arg-type]


def test_thresholds_are_dated_and_give_reasons() -> None:
    found = load_thresholds()
    assert found.dated.isoformat() == "2026-11-28"
    sections = [getattr(found, name) for name in ("target", "start", *DOMAINS, "cause")]
    assert all(len(section.reason) > 40 for section in sections)


def test_a_broken_file_is_named_with_its_place(tmp_path: Path) -> None:
    good = Path("analyses/certainty.toml").read_text(encoding="utf-8")
    file = tmp_path / "certainty.toml"
    file.write_text(good.replace("size = 0.10", 'size = "large"'), encoding="utf-8")
    with pytest.raises(DataError, match=r"certainty\.toml, target\.size: .*found 'large'"):
        load_thresholds(file)


def test_each_decision_says_the_numbers_it_rests_on() -> None:
    found = {d.domain: dict(d.values) for d in judged(models=(CROSS, SURE.models[0])).decisions}
    part = {"samples": 5, "r": 0.30, "low": 0.20, "high": 0.40, "target": 0.10}
    assert found["risk_of_bias"] == {"missing": 0.05, **part}
    assert found["indirectness"] == {
        "share": 0.2, "r": 0.30, "direct_samples": 5, "countries": 2, "near": 1, "names": "Norway",
    }  # fmt: skip
    assert found["imprecision"] == {"low": 0.25, "high": 0.35, "target": 0.10, "samples": 40, "groups": 20}
    assert found["publication_bias"] == {
        "adequate": 2, "crossing": 1, "published": 20, "target": 0.10, "open": 0.30, "open_low": 0.20,
        "open_high": 0.40,
    }  # fmt: skip
    cause = certainty_of(replace(SURE, adjusted=1, lagged=4))[1].decisions[0]
    assert (dict(cause.values), cause.because, cause.step) == ({"adjusted": 1, "lagged": 4}, "some", -1)
    assert certainty_of(replace(SURE, adjusted=0, lagged=0))[1].decisions[0].because == "none"


def test_what_is_not_there_is_said_to_be_none() -> None:
    found = {
        d.domain: dict(d.values) for d in judged(different=None, direct=None, open=None, missing=math.nan).decisions
    }
    assert found["risk_of_bias"] == {"missing": None, "samples": 0}
    assert (found["indirectness"]["r"], found["indirectness"]["direct_samples"]) == (None, 0)
    assert [found["publication_bias"][name] for name in ("open", "open_low", "open_high")] == [None] * 3


def test_without_spread_all_true_means_lie_on_one_side() -> None:
    """All of them on the far side of a target above the mean, none of them beyond one below it."""
    assert certainty_of(replace(SURE, centre=0.05, spread=0.0), target=0.10)[0].step("inconsistency") == -1
    assert certainty_of(replace(SURE, centre=0.10, spread=0.0), target=0.10)[0].step("inconsistency") == 0
    assert judged(spread=math.nan).step("inconsistency") == -1
    assert judged(samples=3, groups=20).step("inconsistency") == 0
