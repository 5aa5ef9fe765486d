"""Wald tests of several coefficients at once (QM, the omnibus test of moderators)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from replication.errors import ModelError
from replication.models.fit import Fit
from replication.models.multilevel import robust
from replication.models.multilevel.robust import RobustData

__all__ = ["WaldTest", "wald_test"]


@dataclass(frozen=True, slots=True)
class WaldTest:
    """That all coefficients in `names` are 0: an F statistic on `df1, df2`, or chi-square on `df1` (`df2` is inf)."""

    names: tuple[str, ...]
    statistic: float
    df1: int
    df2: float
    p: float

    @property
    def kind(self) -> str:
        """F or chi2."""
        return "chi2" if np.isinf(self.df2) else "F"


def wald_test(fit: Fit, names: Sequence[str] | None = None) -> WaldTest:
    """Test that the coefficients `names` are all 0; by default all but the intercept.

    Chi-square for z tests; F, the statistic divided by its number of coefficients, where the fit has t tests
    (Knapp & Hartung 2003); the Hotelling test of `robust.wald_test` for cluster-robust fits.

    Raises `ModelError` for a name the fit does not have, and when there is nothing to test.

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> x = [[1, 0], [1, 1], [1, 2], [1, 3]]
    >>> y, v, names = [0.1, 0.2, 0.3, 0.5], [0.01] * 4, ["intercept", "dose"]
    >>> fit = fit_random_effects(y, v, x, method="DL", test="z", names=names)
    >>> round(wald_test(fit).statistic, 6)
    8.45
    """
    chosen = tuple(name for name in fit.names if name != "intercept") if names is None else tuple(names)
    unknown = [name for name in chosen if name not in fit.names]
    if unknown or not chosen:
        raise ModelError(
            f"cannot test {unknown or 'no coefficient'}; the fit has {', '.join(fit.names)}: name some of these."
        )
    if isinstance(fit.data, RobustData):
        test = robust.wald_test(fit, chosen)
        return WaldTest(chosen, test.statistic, test.df_num, test.df_den, test.p)
    index = [fit.names.index(name) for name in chosen]
    beta, vcov = fit.beta[index], fit.vcov[np.ix_(index, index)]
    scale = np.sqrt(np.diag(vcov))
    chi2 = float(beta / scale @ np.linalg.solve(vcov / np.outer(scale, scale), beta / scale))
    df2 = float(fit.df[index].min())
    if np.isinf(df2):
        return WaldTest(chosen, chi2, len(index), df2, float(special.chdtrc(len(index), chi2)))
    F = chi2 / len(index)
    return WaldTest(chosen, F, len(index), df2, float(special.fdtrc(len(index), df2, F)))
