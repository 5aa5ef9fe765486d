"""metaSEM's vignette (2026): one-stage MASEM of the 45 samples. Its labels pos and neg are interchanged."""

from analyses.shared.masem_answers import (
    FULL_MEDIATION,
    SATURATED,
    audit_table,
    label_table,
    one_stage_answers,
    pair_counts,
    path_results,
    samples45,
)
from replication.analysis import Analysis, Context, Findings
from replication.claims import Recomputed, claims_of
from replication.dataset import Reads
from replication.labels import Label
from replication.models.masem.comparison import likelihood_ratio_test, one_stage_indices
from replication.models.masem.osmasem import fit_one_stage

PATHS = ("b31", "b32", "b41", "b42", "b43")


def run(context: Context) -> Findings:
    data = samples45(context.data)
    saturated = fit_one_stage(data, SATURATED)
    mediation = fit_one_stage(data, FULL_MEDIATION)
    on_paths = fit_one_stage(data, SATURATED, moderators={"ses": PATHS})
    on_covariance = fit_one_stage(data, SATURATED, moderators={"ses": ["p21"]})
    tests = {
        name: likelihood_ratio_test(saturated, larger)
        for name, larger in (
            ("five paths", on_paths),
            ("positive relationship with negative relationship", on_covariance),
        )
    }
    found = {
        "one-stage model, saturated": one_stage_answers(saturated),
        "one-stage model, full mediation": one_stage_answers(mediation, one_stage_indices(mediation)),
        "one-stage model, SES moderating the paths": one_stage_answers(on_paths),
        "one-stage model, SES moderating the covariance": one_stage_answers(on_covariance),
        "one-stage model": {f"difference test: SES on {name}": Recomputed(t.chi2, p=t.p) for name, t in tests.items()},
        "data set Roorda11": {"number of samples": Recomputed(float(len(data.studies)))},
        "all 45 samples": pair_counts(data),
    }
    claims = claims_of(context.data, "metasem2026")
    answers = {c.id: found[c.subgroup][c.quantity] for c in claims if c.quantity in found.get(c.subgroup, ())}
    swapped = label_table([c for c in claims if c.subgroup == "one-stage model, saturated"], answers)
    drawn = path_results(saturated, "one-stage", "one_stage_all_paths")
    return Findings(
        answers=answers, estimates=drawn.estimates, tables=(audit_table(data), swapped), figures=(drawn.diagram,)
    )


ANALYSIS = Analysis(
    id="metasem2026",
    title=Label("title_metasem", {"year": 2026}),
    question="question_one_stage",
    run=run,
    reads=Reads(works=("metasem2026", "roorda2011")),
    claims=("metasem2026",),
)
