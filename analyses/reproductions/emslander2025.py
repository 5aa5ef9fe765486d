"""Emslander et al. (2025): F tests against their p values, the overall mean against its parts."""

from collections.abc import Mapping

from replication.analysis import between, fits_p, printed_only
from replication.claims import Answer, Claim


def checks(claims: Mapping[str, Claim]) -> Mapping[str, Answer]:
    levels = ["emslander2025-011", "emslander2025-012"]
    return {
        "emslander2025-006": between(claims, levels),
        "emslander2025-013": fits_p(claims["emslander2025-013"]),
        "emslander2025-014": fits_p(claims["emslander2025-014"]),
    }


ANALYSIS = printed_only("emslander2025", "Emslander et al. (2025)", checks)
