"""SIMULATED students: the model of bullying roles on data drawn from stated values.

A quarter of the published size keeps the run short; the simulation tests recover larger studies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from replication.analysis.outcome import Context, Findings, Table
from replication.claims import claims_of
from replication.digests import digest_of, folder_digest
from replication.models.bayes.diagnostics import Failed
from replication.models.bayes.roles_simulated import recover_simulated_roles, simulated_truth
from replication.models.bayes.sampling import Settings
from replication.printed import parse_printed

__all__ = ["simulated_recovery"]

STUDENTS, CLASSES = "thornberg2022-001", "thornberg2022-002"
SHARE = 4


def simulated_recovery(context: Context, compile_dir: Path) -> Findings:
    """One simulated study: every stated value beside its posterior, or why there is none."""
    claims = {c.id: c for c in claims_of(context.data, "thornberg2022")}
    students, classes = (int(parse_printed(claims[c].printed["value"]).value) // SHARE for c in (STUDENTS, CLASSES))
    settings = Settings(seed=context.seed)
    truth = simulated_truth()
    code = folder_digest(Path(__file__).parents[2] / "models" / "bayes", "*.py")

    def compute() -> dict[str, Any]:
        found = recover_simulated_roles(truth, students, classes, settings, compile_dir=compile_dir)
        if isinstance(found, Failed):
            return {"rows": [], "reasons": list(found.reasons)}
        rows = [[r.name, r.truth, r.mean, r.sd, r.low, r.high, "yes" if r.covered else "no"] for r in found.rows]
        return {"rows": rows, "reasons": []}

    key = digest_of(code, str(truth), str(settings), str(students), str(classes))
    kept = context.remember("roles-simulated", key, compute)
    assert isinstance(kept, dict)
    title = f"Simulated: {students} students in {classes} classes"
    if kept["reasons"]:
        failed = tuple((reason,) for reason in kept["reasons"])
        return Findings(tables=(Table(id="failed", title=f"FAILED: {title}", columns=("reason",), rows=failed),))
    covered = sum(row[6] == "yes" for row in kept["rows"])
    table = Table(
        id="recovery",
        title=f"{title}, stated values and posteriors",
        columns=("value", "stated", "posterior mean", "sd", "low", "high", "interval holds it"),
        rows=tuple(tuple(row) for row in kept["rows"]),
        note=f"{covered} of {len(kept['rows'])} stated values lie in their 95 % interval. All simulated.",
    )
    return Findings(tables=(table,))
