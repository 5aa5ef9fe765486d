"""The printed pools that answer a question: as they stand in the sources, and on Fisher z as priors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replication.analysis.outcome import About, Label, Table, Text, refs
from replication.claims import Claim
from replication.effects.correlation import to_fisher_z
from replication.evidence.question import Question
from replication.models.probability import NORMAL_95
from replication.printed import parse_printed

__all__ = ["Published", "published_pools", "published_table"]


@dataclass(frozen=True, slots=True)
class Published:
    """A printed pool on Fisher z: its claim, mean, standard error and where the standard error comes from."""

    claim: Claim
    z: float
    se: float
    se_from: Text


def published_pools(claims: Mapping[str, Claim], ids: Sequence[str], tau2: float) -> tuple[Published, ...]:
    """The printed pools on Fisher z. Where no interval is printed the standard error is at least sqrt(tau2 / k).

    Parameters
    ----------
    claims : all claims by id.
    ids : claims that print a pooled correlation.
    tau2 : between-sample variance on Fisher z, used where no interval is printed.
    """
    return tuple(_published(claims[claim], tau2) for claim in ids if claim in claims)


def _published(claim: Claim, tau2: float) -> Published:
    z = float(to_fisher_z(parse_printed(claim.printed["value"]).value))
    if {"ci_low", "ci_high"} <= set(claim.printed):
        low, high = (float(to_fisher_z(parse_printed(claim.printed[end]).value)) for end in ("ci_low", "ci_high"))
        # Widths on z: intervals printed in r are symmetric there and not in r.
        return Published(claim, z, (high - low) / (2 * NORMAL_95), "printed_interval")
    if np.isfinite(claim.k) and claim.k > 0:
        return Published(
            claim,
            z,
            float(np.sqrt(tau2 / claim.k)),
            Label("se_constructed", {"k": float(claim.k)}),
        )
    return Published(claim, z, 0.0, "se_unknown")


def published_table(claims: Mapping[str, Claim], ids: Sequence[str], question: Question) -> Table:
    """The printed numbers on a question, as they stand in the sources."""
    held = [claims[name] for name in ids if name in claims]
    rows = [
        (
            c.work,
            c.quantity,
            c.subgroup,
            c.printed["value"],
            c.printed.get("ci_low", ""),
            c.printed.get("ci_high", ""),
            c.k if np.isfinite(c.k) else None,
            c.n if np.isfinite(c.n) else None,
            c.reading,
        )
        for c in held
    ]
    columns = ("work", "quantity", "subgroup", "printed", "low", "high", "k", "n", "reading")
    return Table(
        id=f"published-{question.id}",
        title="what_is_published",
        columns=columns,
        rows=tuple(rows),
        kind="published",
        about=About(question.id, question.label),
        links=refs("claim", (c.id for c in held)),
    )
