"""Jak & Cheung (2018): two-stage MASEM of the 45 samples, SES subgroups, equality of paths: all 121 rows."""

from analyses.shared.masem_answers import (
    FULL_MEDIATION,
    LOW_SES,
    answers_by_key,
    audit_table,
    boundary_table,
    index_answers,
    path_answers,
    path_results,
    samples45,
    stage1_answers,
)
from replication.analysis import Analysis, Context, Findings
from replication.claims import Recomputed, claims_of
from replication.dataset import Reads
from replication.labels import Label
from replication.models.masem.multigroup import equality_test, fit_groups
from replication.models.masem.stage1 import fit_stage1_random
from replication.models.masem.stage2 import fit_stage2, likelihood_intervals

RULE = "weighted-missing-as-zero"  # metaSEM 1.2.2.1 counts missing correlations as zero in the average behind V
GROUPS = {
    "all": None,
    "low_ses": lambda ses: ses > LOW_SES,
    "high_ses": lambda ses: ses <= LOW_SES,
}


def run(context: Context) -> Findings:
    data = samples45(context.data)
    samples = context.data.samples.set_index("sample_id")["ses"]
    ses = samples.loc[list(data.studies)].to_numpy()
    found, pools, paths = {}, {}, {}
    for group, members in GROUPS.items():
        part = data if members is None else data.select(members(ses))
        pools[group] = fit_stage1_random(part, sampling=RULE)
        paths[group] = fit_stage2(pools[group], FULL_MEDIATION)
        likelihood_based = likelihood_intervals(paths[group]) if members is None else None
        found[f"{group}_stage1"] = stage1_answers(pools[group])
        found[f"{group}_stage2"] = path_answers(paths[group], likelihood_based)
    subgroups = {group: pools[group] for group in GROUPS if GROUPS[group] is not None}
    free = fit_groups(subgroups, FULL_MEDIATION)
    equal = fit_groups(subgroups, FULL_MEDIATION, equal="paths")
    test = equality_test(free, equal)
    found["ses_groups_free"] = index_answers(free.indices)
    found["ses_groups_equal"] = index_answers(equal.indices)
    found["ses_groups"] = {"test_equal_paths": Recomputed(test.chi2, p=test.p)}
    answers = answers_by_key(claims_of(context.data, "jakcheung2018"), found)
    drawn = path_results(paths["all"], "full-mediation", Label("full_mediation_of_samples", {"samples": 45}))
    high = boundary_table(data.select(ses <= LOW_SES), RULE, "high SES")
    return Findings(
        answers=answers, estimates=drawn.estimates, tables=(audit_table(data), high), figures=(drawn.diagram,)
    )


ANALYSIS = Analysis(
    id="jakcheung2018",
    title="Jak & Cheung (2018)",
    question=Label("question_two_stages", {"samples": 45}),
    run=run,
    reads=Reads(works=("jakcheung2018", "roorda2011")),
    claims=("jakcheung2018",),
)
