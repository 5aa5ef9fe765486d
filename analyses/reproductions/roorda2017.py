"""Roorda et al. (2017): a saturated path model must agree with its correlations; one of the six is not printed."""

from replication.analysis import Analysis, Context, Estimate, Findings, Table, sum_of, value_of
from replication.analysis.path_bounds import correlation_ranges, implied_third, joint_paths, path_ranges
from replication.claims import Checked, claims_by_id
from replication.dataset import Reads

R = {"pos-enga": "007", "neg-enga": "009", "pos-ach": "003", "neg-ach": "005", "enga-ach": "011"}  # correlations
B = {"pos_enga": "013", "neg_enga": "014", "enga_ach": "015", "pos_ach": "016", "neg_ach": "017"}  # paths
DERIVED = {"pos_indirect": "018", "neg_indirect": "019", "R2_enga": "022", "R2_ach": "023"}


def run(context: Context) -> Findings:
    claims = claims_by_id(context.data)
    value = {number: value_of(claims, f"roorda2017-{number}") for number in {**R, **B, **DERIVED}.values()}
    third = implied_third(*(value[number] for number in ("007", "009", "013", "014")))
    paths = path_ranges([value[n] for n in R.values()], third)
    correlations = correlation_ranges([value[n] for n in B.values()], third)
    spans = {number: ("correlations", paths[name]) for name, number in (B | DERIVED).items()}
    spans |= {number: ("paths", span) for number, span in zip(R.values(), correlations, strict=True)}

    answers, rows = {}, []
    for name, number in (R | B | DERIVED).items():
        source, (low, high) = spans[number]
        scale = 100 if value[number].percent else 1
        answers[f"roorda2017-{number}"] = Checked(low * scale, high * scale, f"what the printed {source} allow")
        rows.append((name, value[number].text, low * scale, high * scale))
    answers["roorda2017-020"] = sum_of(claims, ["roorda2017-016", "roorda2017-018"])
    answers["roorda2017-021"] = sum_of(claims, ["roorda2017-017", "roorda2017-019"])

    joint = joint_paths([value[n] for n in R.values()], third, {name: value[n] for name, n in (B | DERIVED).items()})
    rule = {"rule": "both_equations"}
    at_once = {"rule": "all_results_at_once"}
    low, high = third
    estimates = (
        Estimate(
            id="implied-pos-neg",
            label="positive_with_negative_implied",
            metric="r",
            value=(low + high) / 2,
            low=low,
            high=high,
            method=rule,
        ),
        Estimate(
            id="joint-violation",
            label="largest_miss",
            metric="distance",
            value=joint.violation,
            method=at_once,
        ),
    )
    columns = ("result", "printed", "lowest", "highest")
    table = Table(id="ranges", title="printed_and_allowed", columns=columns, rows=tuple(rows))
    return Findings(answers=answers, estimates=estimates, tables=(table,))


ANALYSIS = Analysis(
    id="roorda2017",
    title="Roorda et al. (2017)",
    question="question_printed_path_model",
    run=run,
    reads=Reads(works=("roorda2017",)),
    claims=("roorda2017",),
)
