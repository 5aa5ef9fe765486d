"""The correlation sets the MASEM tests share, from the pinned files in tests/reference."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from replication.models.masem import (
    CorrelationSet,
    LabelledMatrix,
    PathFit,
    correlations_from_matrices,
    correlations_from_rows,
    fit_stage2,
)

__all__ = ["FULL", "SATURATED", "chi_square_at", "numbers", "pinned", "pisa", "roorda", "simulated", "standardized_ses"]

FULL = """
enga ~ b31*pos + b32*neg
achiev ~ b43*enga
pos ~~ p21*neg
ind_pos := b31*b43
ind_neg := b32*b43
"""
SATURATED = "enga ~ b31*pos + b32*neg; achiev ~ b41*pos + b42*neg + b43*enga; pos ~~ p21*neg"


@cache
def pinned(name: str) -> Any:
    """A pinned file of tests/reference by its name without ending."""
    return json.loads((Path(__file__).parent / "reference" / f"{name}.json").read_text())


def numbers(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Numbers as R wrote them: NA is NaN."""
    found = [values] if isinstance(values, str | float | int | None) else values
    return np.array([np.nan if v is None or v in {"NA", "NaN"} else float(v) for v in np.ravel(found)])


@cache
def roorda() -> CorrelationSet:
    """The 45 samples: 114 correlations, 13 of them at variables declared absent."""
    d = pinned("masem_roorda")["data"]
    return correlations_from_rows(
        d["sample"],
        d["n"],
        d["var_a"],
        d["var_b"],
        d["r"],
        absent_a=d["absent_a"],
        absent_b=d["absent_b"],
        variables=("pos", "neg", "enga", "achiev"),
        moderators={"ses": d["ses"]},
    )


def standardized_ses() -> CorrelationSet:
    """The 45 samples with SES standardized over them."""
    ses = roorda().moderators["ses"]
    return roorda().with_moderators({"ses": (ses - ses.mean()) / ses.std(ddof=1)})


@cache
def simulated(name: str) -> CorrelationSet:
    """One of the simulated sets: factors, panel, bounds, small."""
    given = pinned("masem_simulated")["inputs"][name]
    matrices = [LabelledMatrix(tuple(given["variables"]), np.array(m, dtype=float)) for m in given["matrices"]]
    moderators = {"lag": given["lag"]} if "lag" in given else None
    return correlations_from_matrices(matrices, given["n"], variables=given["variables"], moderators=moderators)


def pisa(missing: float = np.nan) -> CorrelationSet:
    """The 221 school-level samples; `missing` is put where one sample has no correlations."""
    d = pinned("masem_pisa")
    count = len(d["variables"])
    matrices = []
    for r in d["r"]:
        matrix = np.eye(count)
        matrix[np.triu_indices(count, 1)] = [missing if x is None else x for x in r]
        matrices.append(LabelledMatrix(tuple(d["variables"]), np.triu(matrix) + np.triu(matrix, 1).T))
    return correlations_from_matrices(dict(zip(d["studies"], matrices, strict=True)), d["n"], variables=d["variables"])


def chi_square_at(paths: PathFit, name: str, value: float) -> float:
    """How much chi-square rises when the parameter `name` is fixed at `value` and the model is fitted again."""
    model = paths.quantities.model
    lines = []
    for cell in model.cells:
        left, operator, right = (cell.target, "~", cell.source)
        if cell.source in model.latent and not cell.covariance:
            left, operator, right = (cell.source, "=~", cell.target)
        modifier = f"{value!r}*" if cell.parameter == name else f"{cell.value!r}*" if not cell.parameter else ""
        lines.append(f"{left} {'~~' if cell.covariance else operator} {modifier}{right}")
    return fit_stage2(paths.pooled, "\n".join(lines)).indices.chi2 - paths.indices.chi2
