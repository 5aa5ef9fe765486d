"""Roorda et al. (2017): a saturated path model must agree with its correlations; one of the six is not printed."""

import numpy as np

from replication.analysis import Analysis, Context, Estimate, Findings, Table, sum_of
from replication.analysis.paths import PATHS, implied_correlations, implied_third, saturated_paths
from replication.claims import Checked, claims_of
from replication.models.box import box_range, joint_solution
from replication.printed import Printed, parse_printed

R = {"r_pe": "007", "r_ne": "009", "r_pa": "003", "r_na": "005", "r_ea": "011"}  # printed correlations
B = {"pos_enga": "013", "neg_enga": "014", "enga_ach": "015", "pos_ach": "016", "neg_ach": "017"}  # printed paths
DERIVED = {"pos_indirect": "018", "neg_indirect": "019", "R2_enga": "022", "R2_ach": "023"}


def ends(printed: list[Printed], scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p.low for p in printed]) * scale, np.array([p.high for p in printed]) * scale


def run(context: Context) -> Findings:
    claims = {claim.id: claim for claim in claims_of(context.data, "roorda2017")}
    value = {number: parse_printed(c.printed["value"]) for number, c in ((i[-3:], c) for i, c in claims.items())}
    r, b = [value[n] for n in R.values()], [value[n] for n in B.values()]
    low, high = implied_third(*(value[n] for n in ("007", "009", "013", "014")))
    r_low, r_high = (np.append(end, third) for end, third in zip(ends(r), (low, high), strict=True))
    b_low, b_high = (np.append(end, third) for end, third in zip(ends(b), (low, high), strict=True))

    answers, rows = {}, []
    for name, number in (B | DERIVED).items():
        scale = 100.0 if value[number].percent else 1.0
        at = PATHS.index(name)
        span = [scale * end for end in box_range(lambda x, at=at: saturated_paths(x)[at], r_low, r_high)]
        answers[f"roorda2017-{number}"] = Checked(*span, "what the printed correlations allow for a saturated model")
        rows.append((name, value[number].text, *span))
    for at, (name, number) in enumerate(R.items()):
        span = box_range(lambda x, at=at: implied_correlations(x)[at], b_low, b_high)
        answers[f"roorda2017-{number}"] = Checked(*span, "what the printed paths allow for a saturated model")
        rows.append((name, value[number].text, *span))
    answers["roorda2017-020"] = sum_of(claims, ["roorda2017-016", "roorda2017-018"])
    answers["roorda2017-021"] = sum_of(claims, ["roorda2017-017", "roorda2017-019"])

    shown = [value[number] for number in (B | DERIVED).values()]
    target = [np.array([getattr(p, end) / (100.0 if p.percent else 1.0) for p in shown]) for end in ("low", "high")]
    joint = joint_solution(saturated_paths, r_low, r_high, *target)
    estimates = (
        Estimate(
            id="implied-pos-neg",
            label="positive with negative, implied",
            metric="r",
            value=(low + high) / 2,
            low=low,
            high=high,
            method={"rule": "both equations of engagement, rounding carried through"},
        ),
        Estimate(
            id="joint-violation",
            label="largest violation at the best joint point",
            metric="distance",
            value=joint.violation,
            method={"rule": "all nine printed results at once, correlations in their box"},
        ),
    )
    table = Table(
        id="ranges",
        title="Printed results and what the other printed numbers allow",
        columns=("result", "printed", "lowest", "highest"),
        rows=tuple(rows),
    )
    return Findings(answers=answers, estimates=estimates, tables=(table,))


ANALYSIS = Analysis(
    id="roorda2017",
    title="Roorda et al. (2017)",
    question="Do the printed correlations and the printed path model agree?",
    run=run,
    claims=("roorda2017",),
)
