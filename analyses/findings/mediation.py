"""Is there a path from relationships to achievement through engagement? The answer, then every rule, schools apart."""

from analyses.shared.covariance_rules import rule_sentence, rule_table, ses_tables, variants
from analyses.shared.masem_answers import audit_table, samples45
from analyses.shared.mediation import SHORT, chain_sentences, mediation_updates, school_matrix_results
from replication.analysis import Analysis, Context, Findings
from replication.analysis.outcome import placed
from replication.dataset import Reads
from replication.evidence.finding import grade_of_question
from replication.evidence.plots import pooled_rows
from replication.evidence.question import Question, evidence

QUALITY = ("positive", "negative", "relationship")
LINKS = {
    "relationship-engagement": Question("quality-engagement", "relationship_with_engagement", QUALITY, "engagement"),
    "engagement-achievement": Question(
        "engagement-achievement", "engagement_with_achievement", ("engagement",), "achievement"
    ),
}
"""The two links of the chain: it is no surer than the weaker one."""
PAIRS = (*LINKS.values(), Question("quality-achievement", "relationship_with_achievement", QUALITY, "achievement"))
"""The correlations behind the paths, each of which a reader can pool a choice of."""


def run(context: Context) -> Findings:
    data = context.data
    found = variants(data)
    paths = mediation_updates(data)
    chain = chain_sentences({name: grade_of_question(data, question) for name, question in LINKS.items()})
    schools, school_tables, school_diagram = school_matrix_results(data)
    split, continuous = ses_tables(data)
    return Findings(
        estimates=(*paths.estimates, *placed("school", schools)),
        tables=(
            *paths.tables,
            *placed("robustness", (rule_table(found), split, continuous)),
            *placed("drivers", (audit_table(samples45(data)),)),
            *placed("school", school_tables),
            *placed("explore", (pooled_rows(evidence(data, pair, "pool")) for pair in PAIRS)),
        ),
        figures=(*paths.figures, *placed("school", (school_diagram,))),
        sentences=(*paths.sentences, *chain, *placed("robustness", (rule_sentence(found),))),
    )


ANALYSIS = Analysis(
    id="mediation",
    title="title_mediation",
    question="question_mediation",
    run=run,
    # The rules of covariance are tried on everything that Jak and Cheung print.
    reads=Reads(outcomes=("engagement", "achievement", *SHORT), claims=("jakcheung2018",)),
    kind="finding",
    long=True,
)
