"""One tolerance for each kind of number, with its reason and the worst case seen. Tests name the kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "CLOSED",
    "CONVERGED",
    "DELETED",
    "OPENMX",
    "OPENMX_HESSIAN",
    "OPTIMISED",
    "PROFILE",
    "SAME",
    "STOPPED_EARLY",
    "TAIL",
    "Tolerance",
    "assert_close",
]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Allowed `relative` error and, beside the largest number compared, `of_largest`. `worst` is the largest seen."""

    relative: float
    of_largest: float
    reason: str
    worst: float


CLOSED = Tolerance(1e-10, 1e-13, "a formula without iteration; rounding in both programs", 8e-14)
CONVERGED = Tolerance(1e-9, 1e-12, "an iteration run to its end in both programs", 6e-12)
DELETED = Tolerance(1e-8, 1e-11, "differences between nearly equal fits: leave-one-out diagnostics", 6e-10)
TAIL = Tolerance(1e-8, 1e-300, "p values: a relative error in the statistic grows with its square", 7e-12)
SAME = Tolerance(1e-10, 1e-13, "the same formula along another path of our own code", 7e-13)
OPENMX = Tolerance(1e-5, 1e-6, "OpenMx ends a search when -2 log likelihood stops moving in its ninth digit", 2e-6)
OPENMX_HESSIAN = Tolerance(1e-4, 1e-5, "standard errors from OpenMx's numerical second derivatives", 3e-5)
OPTIMISED = Tolerance(
    1e-6, 1e-6, "several variances: metafor's optimisers stop where the likelihood is flat, at half its digits", 6.3e-7
)
PROFILE = Tolerance(
    1e-8, 1e-11, "interval ends: a root search around metafor's own search for the other variances", 2.4e-9
)
STOPPED_EARLY = Tolerance(
    5e-3, 1e-3, "metafor's defaults stop an iteration at an absolute change of 1e-5 or 1.2e-4 in tau2", 3.7e-3
)


def assert_close(found: ArrayLike, expected: ArrayLike, tolerance: Tolerance, label: object = "") -> None:
    """Compare arrays of one shape; NaN must meet NaN and infinity infinity."""
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    assert found.shape == expected.shape, f"{label}: shape {found.shape}, expected {expected.shape}"
    finite = np.abs(expected[np.isfinite(expected)])
    floor = tolerance.of_largest * (finite.max() if finite.size else 0.0)
    np.testing.assert_allclose(found, expected, rtol=tolerance.relative, atol=floor, err_msg=str(label))
