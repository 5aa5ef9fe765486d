"""Claims and verdicts: one tiny claim, one answer, the verdict that must follow."""

import math
from dataclasses import replace

import pytest

from replication.claims import (
    DIRECTION,
    GROUPS,
    Answer,
    Checked,
    Claim,
    Missing,
    Reason,
    Recomputed,
    claims_by_id,
    claims_of,
    judge,
)
from replication.dataset import Dataset
from replication.errors import DataError


def claim(value: str = ".39", **printed: str) -> Claim:
    return Claim(
        id="work-001",
        work="work",
        quantity="pooled correlation: a with b",
        subgroup="all",
        statistic="r",
        printed={name: text for name, text in {"value": value, **printed}.items() if text},
        printed_df="",
        k=math.nan,
        n=math.nan,
        as_printed="r = .39",
        source="",
        locator="abstract",
        reading="abstract",
        note="",
        line=2,
    )


@pytest.mark.parametrize(
    ("printed", "answer", "verdict"),
    [
        (".39", Recomputed(0.3949), "MATCH"),
        (".39", Recomputed(0.3951), "DIFFERS"),
        (".39", Recomputed(math.nan), "DIFFERS"),
        (".39", Checked(0.38, 0.386, "somewhere else"), "CONSISTENT"),
        (".39", Checked(0.38, 0.3849, "somewhere else"), "INCONSISTENT"),
        (".39", Checked(0.395, 0.4, "touches from above"), "CONSISTENT"),
        (".39", Checked(0.38, 0.385, "touches from below"), "CONSISTENT"),
        (".39", Missing("the study list"), "NOT_COMPUTABLE"),
        (".39", None, "PENDING"),
        ("", Recomputed(0.39), "PENDING"),
    ],
)
def test_each_answer_has_its_verdict(printed: str, answer: Answer | None, verdict: str) -> None:
    assert judge(claim(printed), answer).verdict == verdict


@pytest.mark.parametrize(
    ("as_printed", "note", "said"),
    [
        ("r = .39", "smudged", "r = .39"),
        ("r = .39", "", "r = .39"),
        ("", "smudged", "smudged"),
        ("", "", "no value transcribed"),
    ],
)
def test_a_claim_without_a_number_shows_what_was_read_in_its_place(as_printed: str, note: str, said: str) -> None:
    unread = replace(claim(""), as_printed=as_printed, note=note)
    assert judge(unread, Recomputed(0.39)).reason == f"the print cannot be read as a number: {said}"


def test_every_printed_figure_of_a_claim_counts() -> None:
    printed = claim("-.19", ci_low="-.24", ci_high="-.15", se=".02")
    whole = judge(printed, Recomputed(-0.191, ci_low=-0.239, ci_high=-0.147, se=0.0231))
    assert whole.verdict == "MATCH"
    off = judge(printed, Recomputed(-0.191, ci_low=-0.251, ci_high=-0.147, se=0.0231))
    assert off.verdict == "DIFFERS"
    assert off.reason == "ours is ci_low -0.251 where -.24 is printed"
    assert [part.matches for part in off.parts] == [True, False, True, True]


def test_a_recorded_reason_explains_a_difference_and_only_a_difference() -> None:
    reasons = {"work-001": Reason("Another rule for missing correlations.", at_most=0.1)}
    explained = judge(claim(), Recomputed(0.40), reasons)
    assert explained.verdict == "DIFFERS_EXPLAINED"
    assert explained.reason.startswith("Another rule for missing correlations. Here ours is value 0.4 where .39")
    assert judge(claim(), Recomputed(0.39), reasons).verdict == "MATCH"
    far = judge(claim(), Recomputed(0.50), reasons)
    assert far.verdict == "DIFFERS", "the reason reaches only so far"
    assert far.reason == "ours is value 0.5 where .39 is printed", "and is not given where it does not reach"
    assert judge(claim(), Recomputed(math.nan), reasons).verdict == "DIFFERS"


@pytest.mark.parametrize(
    ("answer", "flip"),
    [
        (Recomputed(0.2, ci_low=0.1, ci_high=0.3), ""),
        (Recomputed(0.2, ci_low=-0.01, ci_high=0.41), "significance"),
        (Recomputed(-0.2, ci_low=-0.3, ci_high=-0.1), "sign"),
        (Recomputed(-0.2, ci_low=-0.5, ci_high=0.1), "sign and significance"),
        (Recomputed(0.2, ci_low=0.1, ci_high=0.3, p=0.2), ""),  # where there is an interval it decides, not p
    ],
)
def test_a_decision_flips_with_the_sign_or_with_significance(answer: Recomputed, flip: str) -> None:
    assert judge(claim(".20", ci_low=".10", ci_high=".30"), answer).decision_flip == flip


def test_significance_can_come_from_p() -> None:
    assert judge(claim(".20", p="<.001"), Recomputed(0.2, p=0.2)).decision_flip == "significance"
    assert judge(claim(".20", p=".30"), Recomputed(0.2, p=0.2)).decision_flip == ""


@pytest.mark.parametrize(
    ("p", "ours", "flip"),
    [
        ("<.05", 0.2, "significance"),  # printed below .05 means significant
        ("<.05", 0.049, ""),
        (".05", 0.049, "significance"),  # printed as .05 does not
        (".05", 0.2, ""),
        (".049", 0.05, "significance"),  # and neither does ours of exactly .05
        ("≤.05", 0.04, ""),
        (">.05", 0.04, "significance"),
    ],
)
def test_the_level_of_five_per_cent_is_outside_significance(p: str, ours: float, flip: str) -> None:
    assert judge(claim(".20", p=p), Recomputed(0.2, p=ours)).decision_flip == flip


def test_an_interval_that_ends_at_zero_does_not_exclude_it() -> None:
    touching = Recomputed(0.2, ci_low=0.0, ci_high=0.3)
    assert judge(claim(".20", ci_low=".10", ci_high=".30"), touching).decision_flip == "significance"
    below = Recomputed(-0.2, ci_low=-0.3, ci_high=0.0)
    assert judge(claim("-.20", ci_low="-.30", ci_high="-.10"), below).decision_flip == "significance"


def test_one_printed_end_decides_nothing() -> None:
    """Significance then comes from the printed p, or from nowhere."""
    ours = Recomputed(0.2, ci_low=-0.1, ci_high=0.5)
    assert judge(claim(".20", ci_low=".10"), ours).decision_flip == ""
    assert judge(claim(".20", ci_low=".10", p=".01"), ours).decision_flip == "significance"


def test_a_value_of_zero_has_no_other_sign() -> None:
    assert judge(claim(".00"), Recomputed(-0.001)).decision_flip == ""
    assert judge(claim(".20"), Recomputed(0.0)).decision_flip == ""


def test_relative_difference_from_a_printed_zero_is_not_defined_but_for_zero() -> None:
    assert judge(claim(".00"), Recomputed(0.0)).relative_difference == 0.0
    assert math.isnan(judge(claim(".00"), Recomputed(0.001)).relative_difference)


def test_relative_difference_is_signed_and_relative_to_the_print() -> None:
    assert judge(claim("-.40"), Recomputed(-0.44)).relative_difference == pytest.approx(-0.1)


def test_an_inconsistency_says_what_would_be_allowed() -> None:
    assert judge(claim(".39"), Checked(0.1, 0.2, "a + b")).reason == "a + b: 0.1 to 0.2"


def test_second_hand_readings_are_marked() -> None:
    assert not claim().second_hand


def test_a_direction_waits_for_its_size_and_says_where_it_stands() -> None:
    bare = replace(claim("positive"), statistic=DIRECTION)
    assert judge(replace(bare, waits_for="table 2"), Recomputed(0.2)).reason.endswith("It would be found in: table 2.")
    assert judge(bare, None).reason == "Only the direction could be read; its size is not transcribed."


def test_a_print_that_is_no_number_is_refused_as_a_value_and_passed_over_beside_one() -> None:
    with pytest.raises(DataError, match='work-001: "about" is not a printed number'):
        judge(claim("about"), Recomputed(0.3))
    beside = judge(claim(".30", se="small"), Recomputed(0.3, se=9.0))
    assert (beside.verdict, [part.name for part in beside.parts]) == ("MATCH", ["value"])


def test_what_is_checked_only_is_shown_by_its_own_value_or_the_middle() -> None:
    assert judge(claim(".39"), Checked(0.38, 0.40, "elsewhere")).ours == pytest.approx(0.39)
    assert judge(claim(".39"), Checked(0.38, 0.40, "elsewhere", 0.385)).ours == 0.385
    assert judge(claim(".39"), Checked(0.1, 0.3, "elsewhere")).relative_difference == pytest.approx(0.2 / 0.39 - 1)


def test_of_our_interval_both_ends_decide_or_none() -> None:
    """With one end missing the p decides."""
    half = Recomputed(0.2, ci_high=0.3, p=0.01)
    assert judge(claim(".20", p=".01"), half).decision_flip == ""
    assert judge(claim(".20", p=".20"), half).decision_flip == "significance"


def test_what_is_missing_says_where_it_would_be_and_what_stands_beside_it() -> None:
    said = judge(claim(), Missing("The study list.", "supplement 2", "Open data say .30."))
    assert said.reason == "The study list. It would be found in: supplement 2 Open data say .30."
    assert judge(claim(), Missing("The study list.")).reason == "The study list."
    assert (said.low, said.high) == (pytest.approx(0.385), pytest.approx(0.395))


def test_claims_are_the_rows_of_the_dataset_with_their_words(dataset: Dataset) -> None:
    found = claims_by_id(dataset)
    own = {str(row["claim_id"]): row for row in dataset.claims.to_dict("records")}
    directions = {str(row["direction_id"]): row for row in dataset.directions.to_dict("records")}
    assert list(found) == [*own, *directions] and len(found) == len(own) + len(directions)
    for name, row in own.items():
        one = found[name]
        assert (one.work, one.quantity, one.subgroup, one.statistic) == tuple(
            row[column] for column in ("work", "quantity", "subgroup", "statistic")
        )
        assert one.printed.get("value", "") == row["printed"] and one.printed.get("se", "") == row["se"]
        assert (one.reading, one.locator, one.line) == (row["reading"], row["locator"], row["line"])
    assert {found[name].statistic for name in directions} == {DIRECTION}
    assert {found[name].waits_for for name in directions} == {row["where_to_find"] for row in directions.values()}
    assert {claim.group for claim in found.values()} == set(GROUPS)
    assert all((claim.group == "quoted") == bool(claim.printed_by) for claim in found.values())
    of_software = {claim.work for claim in found.values() if claim.group == "software"}
    assert {dataset.works[work].kind for work in of_software} == {"software", "method_article"}
    assert "metasem2026" in of_software and "allenkern2018" not in of_software


def test_only_a_claim_of_the_version_is_in_the_index(dataset: Dataset) -> None:
    found = claims_by_id(dataset)
    assert next(iter(found)) in found
    assert "no-such-claim" not in found and 7 not in found
    with pytest.raises(DataError, match='no claim "no-such-claim"'):
        found["no-such-claim"]


def test_claims_of_one_work_are_its_own(dataset: Dataset) -> None:
    work = dataset.claims["work"].iloc[0]
    assert {claim.work for claim in claims_of(dataset, work)} == {work}
    assert len(claims_of(dataset, work)) < len(claims_of(dataset))
