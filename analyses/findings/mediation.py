"""Does engagement carry the link from relationships to achievement? Every rule, every body of data, schools apart."""

from replication.analysis import Analysis, Context, Findings
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
        estimates=(*updates, *schools),
        tables=(
            rule_table(found),
            split,
            continuous,
            before_after,
            entering,
            audit_table(samples45(data)),
            *school_tables,
        ),
        figures=(*diagrams, school_diagram),
        sentences=(rule_sentence(found),),
    )


ANALYSIS = Analysis(
    id="mediation",
    title="Engagement between relationships and achievement",
    question="Does engagement carry the link from relationships to achievement, and does the answer depend on a rule?",
    run=run,
    kind="finding",
)
