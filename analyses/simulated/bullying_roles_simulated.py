"""SIMULATED: does the model of bullying roles find values it was told? No micro-data of Thornberg et al. are public."""

from replication import paths
from replication.analysis import Analysis, Context, Findings


def run(context: Context) -> Findings:
    # Here and not above: a run that samples nothing only asks this file what it declares.
    from analyses.shared.sampled import simulated_recovery

    return simulated_recovery(context, paths.cache_dir() / "compiled")


ANALYSIS = Analysis(
    id="bullying_roles_simulated",
    title="title_roles_simulated",
    question="question_roles_simulated",
    run=run,
    kind="simulated",
    slow=True,
)
