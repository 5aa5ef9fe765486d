"""Socio-economic status as a split at 50 and as a continuous moderator: the same question, two answers."""

from __future__ import annotations

from replication.analysis.masem import FULL_MEDIATION, LOW_SES, samples45
from replication.analysis.outcome import Table
from replication.dataset import Dataset
from replication.models.literals import SamplingRule
from replication.models.masem.comparison import likelihood_ratio_test
from replication.models.masem.multigroup import equality_test, fit_groups
from replication.models.masem.osmasem import fit_one_stage
from replication.models.masem.stage1 import fit_stage1_random

__all__ = ["ses_tables"]

RULES: tuple[SamplingRule, ...] = ("weighted", "weighted-missing-as-zero")
PATHS = ("b31", "b32", "b43")


def ses_tables(data: Dataset) -> tuple[Table, Table]:
    """Paths by SES group with the test of equality, and slopes on standardized SES with the likelihood-ratio test."""
    correlations = samples45(data)
    ses = data.samples.set_index("sample_id")["ses"].loc[list(correlations.studies)].to_numpy()
    groups = {"low SES": ses > LOW_SES, "high SES": ses <= LOW_SES}
    split = []
    for rule in RULES:
        pools = {name: fit_stage1_random(correlations.select(mask), sampling=rule) for name, mask in groups.items()}
        free, equal = (fit_groups(pools, FULL_MEDIATION, equal=how) for how in ("none", "paths"))
        test = equality_test(free, equal)
        by_name = dict(zip(free.fit.names, map(float, free.fit.beta), strict=True))
        split += [
            (rule, path, by_name[f"{path}[low SES]"], by_name[f"{path}[high SES]"], test.chi2, test.df, test.p)
            for path in PATHS
        ]
    still = fit_one_stage(correlations, FULL_MEDIATION)
    moving = fit_one_stage(correlations, FULL_MEDIATION, moderators={"ses": list(PATHS)})
    test = likelihood_ratio_test(still, moving)
    ends = moving.fit.interval()
    slopes = tuple(
        (
            name.partition(":")[0],
            float(moving.fit.beta[j]),
            float(ends[j, 0]),
            float(ends[j, 1]),
            test.chi2,
            test.df,
            test.p,
        )
        for j, name in enumerate(moving.fit.names)
        if ":" in name
    )
    tests = ("chi-square", "df", "p")
    return (
        Table(
            id="ses-split",
            title="SES as a split at 50 per cent",
            rows=tuple(split),
            columns=("sampling covariances", "path", "low SES", "high SES", *tests),
        ),
        Table(
            id="ses-continuous",
            title="SES as a continuous moderator (one stage)",
            rows=slopes,
            columns=("path", "change a standard deviation", "low", "high", *tests),
        ),
    )
