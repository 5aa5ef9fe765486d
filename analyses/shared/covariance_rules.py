"""The same question under every rule: which printed digits of the path model hold under which choices.

Rules of the sampling covariances, 101 or 114 correlations, fixed or random effects, two stages or one: each row is a
whole analysis. A printed number holds when our unrounded one lies in its rounding interval; it nearly holds when the
difference is within the reach of the optimizer's stopping rule recorded for it.

Socio-economic status as a split at 50 and as a continuous moderator: the same question, two answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyses.shared.masem_answers import (
    FULL_MEDIATION,
    LOW_SES,
    one_stage_answers,
    path_answers,
    samples45,
    stage1_answers,
)
from replication.analysis.outcome import Label, Ref, Sentence, Table, numbers
from replication.claims import Claim, Reason, Recomputed, claims_of, judge
from replication.dataset import Dataset
from replication.models.masem.comparison import likelihood_ratio_test, one_stage_indices
from replication.models.masem.correlations import CorrelationSet
from replication.models.masem.multigroup import equality_test, fit_groups
from replication.models.masem.osmasem import fit_one_stage
from replication.models.masem.stage1 import fit_stage1_random
from replication.models.masem.stage1_fixed import fit_stage1_fixed
from replication.models.masem.stage2 import fit_stage2, likelihood_intervals
from replication.models.options import SamplingRule

__all__ = ["Variant", "rule_sentence", "rule_table", "ses_tables", "variants"]

RULES: tuple[SamplingRule, ...] = ("weighted", "individual", "unweighted", "weighted-missing-as-zero")
STOPPING = Reason("the optimizer's stopping rule", at_most=5e-5)
SUBGROUPS = ("all_stage1", "all_stage2")
PATHS = {  # columns of the table of rules, and the keys of claims
    "positive_to_engagement": "path_pos_enga",
    "negative_to_engagement": "path_neg_enga",
    "engagement_to_achievement": "path_enga_achiev",
    "pos_indirect": "indirect_pos",
    "neg_indirect": "indirect_neg",
    "chi-square": "chi_square",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One whole analysis: how it was made, its numbers by key, and how many printed ones hold."""

    rows: str
    stages: str
    effects: str
    rule: str
    answers: Mapping[str, Recomputed]
    holds: int
    nearly: int
    total: int


def variants(data: Dataset) -> tuple[Variant, ...]:
    """Every combination, judged against the printed numbers of Jak & Cheung (2018) on all 45 samples."""
    claims = [c for c in claims_of(data, "jakcheung2018") if c.subgroup_key in SUBGROUPS]
    found = []
    for rows, everything in (("rows_in_use", False), ("all_rows", True)):
        correlations = samples45(data, all_rows=everything)
        found += [_judged(rows, "two", "random", r, _two_stage(correlations, r), claims) for r in RULES]
        found.append(_judged(rows, "two", "fixed", "-", _fixed(correlations), claims))
        found += [_judged(rows, "one", "random", r, _one_stage(correlations, r), claims) for r in RULES]
    return tuple(found)


def rule_table(found: Sequence[Variant]) -> Table:
    """The variants with their paths, and how many of the printed numbers hold under each."""
    rows = tuple(
        (v.rows, v.stages, v.effects, v.rule, *(_value(v, q) for q in PATHS.values()), v.holds, v.nearly, v.total)
        for v in found
    )
    columns = ("correlations", "stages", "effects", "sampling_covariances", *PATHS, "hold", "hold_nearly", "compared")
    note = Label("hold_nearly_note", {"reach": STOPPING.at_most})
    return Table(id="rules", title="same_question_under_every_rule", columns=columns, rows=rows, note=note)


def rule_sentence(found: Sequence[Variant]) -> Sentence:
    """Which rule makes the printed digits come out, and how many hold under the best of the others."""
    # Exact matches decide between rules that match equally many within the optimizer's reach.
    best = max(found, key=lambda v: (v.holds + v.nearly, v.holds))
    rest = max((v for v in found if v is not best), key=lambda v: v.holds + v.nearly)
    span = [v.answers[PATHS["positive_to_engagement"]].value for v in found]
    values: dict[str, float | int] = {
        "holds": best.holds + best.nearly,
        "total": best.total,
        "next_holds": rest.holds + rest.nearly,
        "path_low": min(span),
        "path_high": max(span),
    }
    text = {"rule": best.rule, "rows": best.rows, "next_rule": rest.rule}
    return Sentence("mediation.rules", {**text, **numbers(values, Ref("table", "rules"))}, "robustness")


def _value(variant: Variant, key: str) -> float | None:
    answer = variant.answers.get(key)
    return None if answer is None or not np.isfinite(answer.value) else answer.value


def _two_stage(data: CorrelationSet, rule: SamplingRule) -> dict[str, Recomputed]:
    pool = fit_stage1_random(data, sampling=rule)
    paths = fit_stage2(pool, FULL_MEDIATION)
    return stage1_answers(pool) | path_answers(paths, likelihood_intervals(paths))


def _fixed(data: CorrelationSet) -> dict[str, Recomputed]:
    paths = fit_stage2(fit_stage1_fixed(data), FULL_MEDIATION)
    return path_answers(paths, likelihood_intervals(paths))


def _one_stage(data: CorrelationSet, rule: SamplingRule) -> dict[str, Recomputed]:
    fitted = fit_one_stage(data, FULL_MEDIATION, sampling=rule)
    effects = ("pos_indirect", "neg_indirect")
    answers = one_stage_answers(fitted, one_stage_indices(fitted))
    return answers | {PATHS[name]: Recomputed(fitted.effect(name).estimate) for name in effects}


def _judged(
    rows: str, stages: str, effects: str, rule: str, answers: Mapping[str, Recomputed], claims: Sequence[Claim]
) -> Variant:
    compared = [(c, answers[c.quantity_key]) for c in claims if c.quantity_key in answers]
    verdicts = [judge(claim, answer, {claim.id: STOPPING}).verdict for claim, answer in compared]
    holds, nearly = verdicts.count("MATCH"), verdicts.count("DIFFERS_EXPLAINED")
    return Variant(rows, stages, effects, rule, answers, holds, nearly, len(compared))


SES_RULES: tuple[SamplingRule, ...] = ("weighted", "weighted-missing-as-zero")
SES_PATHS = ("b31", "b32", "b43")
_TEST = ("chi-square", "df", "p")


def ses_tables(data: Dataset) -> tuple[Table, Table]:
    """Paths by SES group with the test of equality, and slopes on standardized SES with the likelihood-ratio test."""
    correlations = samples45(data)
    ses = data.samples.set_index("sample_id")["ses"].loc[list(correlations.studies)].to_numpy()
    return _ses_split(correlations, ses), _ses_slopes(correlations)


def _ses_split(correlations: CorrelationSet, ses: NDArray[np.float64]) -> Table:
    # `ses` is the share of students of low status, so high values are the low-SES group.
    groups = {"low SES": ses > LOW_SES, "high SES": ses <= LOW_SES}
    split = []
    for rule in SES_RULES:
        pools = {name: fit_stage1_random(correlations.select(mask), sampling=rule) for name, mask in groups.items()}
        free, equal = (fit_groups(pools, FULL_MEDIATION, equal=how) for how in ("none", "paths"))
        test = equality_test(free, equal)
        by_name = dict(zip(free.fit.names, map(float, free.fit.beta), strict=True))
        split += [
            (rule, path, by_name[f"{path}[low SES]"], by_name[f"{path}[high SES]"], test.chi2, test.df, test.p)
            for path in SES_PATHS
        ]
    columns = ("sampling_covariances", "path", "low_ses", "high_ses", *_TEST)
    return Table(id="ses-split", title="ses_split", rows=tuple(split), columns=columns)


def _ses_slopes(correlations: CorrelationSet) -> Table:
    reduced = fit_one_stage(correlations, FULL_MEDIATION)
    full = fit_one_stage(correlations, FULL_MEDIATION, moderators={"ses": list(SES_PATHS)})
    test, ends = likelihood_ratio_test(reduced, full), full.fit.interval()
    slopes = tuple(
        (path, float(full.fit.beta[j]), float(ends[j, 0]), float(ends[j, 1]), test.chi2, test.df, test.p)
        for path, j in ((path, full.fit.names.index(f"{path}:ses")) for path in SES_PATHS)
    )
    columns = ("path", "change_a_standard_deviation", "low", "high", *_TEST)
    title = "ses_continuous"
    return Table(id="ses-continuous", title=title, rows=slopes, columns=columns)
