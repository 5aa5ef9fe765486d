"""Does engagement carry the link from relationships to achievement? Every rule, every body of data, schools apart."""

from replication.analysis import Analysis, Context, Findings, placed
from replication.evidence.covariance_rules import rule_sentence, rule_table, ses_tables, variants
from replication.evidence.masem_answers import audit_table, samples45
from replication.evidence.mediation import mediation_updates, school_matrix_results


def run(context: Context) -> Findings:
    data = context.data
    found = variants(data)
    updates, before_after, diagrams, entering = mediation_updates(data)
    schools, school_tables, school_diagram = school_matrix_results(data)
    split, continuous = ses_tables(data)
    return Findings(
        estimates=(*placed("update", updates), *placed("school", schools)),
        tables=(
            *placed("robustness", (rule_table(found), split, continuous)),
            *placed("update", [before_after]),
            *placed("drivers", (entering, audit_table(samples45(data)))),
            *placed("school", school_tables),
        ),
        figures=(*placed("update", diagrams), *placed("school", [school_diagram])),
        sentences=(rule_sentence(found),),
    )


ANALYSIS = Analysis(
    id="mediation",
    title="Engagement between relationships and achievement",
    question="Does engagement carry the link from relationships to achievement, and does the answer depend on a rule?",
    run=run,
    kind="finding",
)
