"""metaSEM's vignette (2026): one-stage MASEM of the 45 samples. Its labels pos and neg are interchanged."""

from analyses.shared.masem_answers import (
    FULL_MEDIATION,
    SATURATED,
    answers_by_key,
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
        key: likelihood_ratio_test(saturated, larger)
        for key, larger in (("test_ses_paths", on_paths), ("test_ses_model_r", on_covariance))
    }
    found = {
        "one_stage_saturated": one_stage_answers(saturated),
        "one_stage_mediation": one_stage_answers(mediation, one_stage_indices(mediation)),
        "one_stage_ses_paths": one_stage_answers(on_paths),
        "one_stage_ses_model_r": one_stage_answers(on_covariance),
        "one_stage": {key: Recomputed(t.chi2, p=t.p) for key, t in tests.items()},
        "data_set": {"samples": Recomputed(float(len(data.studies)))},
        "all": pair_counts(data),
    }
    claims = claims_of(context.data, "metasem2026")
    answers = answers_by_key(claims, found)
    swapped = label_table([c for c in claims if c.subgroup_key == "one_stage_saturated"], answers)
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
