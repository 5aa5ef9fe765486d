"""Do the published numbers on teacher-student relationships hold? The data, the models, and what they say.

For researchers, by data frame and formula:

    import replication as tsr
    es = tsr.effect_sizes(studies, "r", r="r", n="n")
    fit = tsr.random_effects("yi ~ age", data=es)
    print(fit.summary())

The names below are the public interface. Each is imported when it is first used, so that `import replication` is done
at once; `replication.models` and `replication.effects` hold the functions on arrays behind them.
"""

from __future__ import annotations

from replication.lazily import on_first_use

TYPE_CHECKING = False  # type checkers read it as true; importing typing for it would be half of the import's time
if TYPE_CHECKING:
    from replication.errors import DataError, ModelError, UserError
    from replication.frames.bayes import average_over_bias, posterior
    from replication.frames.bias import (
        beta_selection,
        bias_table,
        egger_test,
        excess_significance,
        fail_safe_n,
        henmi_copas,
        p_curve,
        pet_peese,
        rank_test,
        smooth_selection,
        step_selection,
        trim_fill,
        truncated_selection,
        waap,
    )
    from replication.frames.counts import glmm
    from replication.frames.dependence import aggregate, covariance
    from replication.frames.fitted import FittedModel, tidy
    from replication.frames.means import contrast, joint_test, marginal_means, pairwise
    from replication.frames.measures import effect_sizes, effects_from_intervals, means_from_quantiles, measures
    from replication.frames.models import location_scale, multilevel, multivariate, random_effects, robust
    from replication.frames.plots import bubble_plot, forest_plot, funnel_plot, orchard_plot
    from replication.frames.postestimation import (
        average_models,
        blups,
        bootstrap,
        compare,
        cumulative,
        influence,
        leave_one_out,
        likelihood_ratio_test,
        permutation_test,
        predict,
    )
    from replication.frames.project import findings, load_dataset, run_analyses, run_project
    from replication.frames.structural import correlation_matrices, masem, matrix_regression
    from replication.models.fit import Fit

__all__ = [
    "DataError",
    "Fit",
    "FittedModel",
    "ModelError",
    "UserError",
    "aggregate",
    "average_models",
    "average_over_bias",
    "beta_selection",
    "bias_table",
    "blups",
    "bootstrap",
    "bubble_plot",
    "compare",
    "contrast",
    "correlation_matrices",
    "covariance",
    "cumulative",
    "effect_sizes",
    "effects_from_intervals",
    "egger_test",
    "excess_significance",
    "fail_safe_n",
    "findings",
    "forest_plot",
    "funnel_plot",
    "glmm",
    "henmi_copas",
    "influence",
    "joint_test",
    "leave_one_out",
    "likelihood_ratio_test",
    "load_dataset",
    "location_scale",
    "marginal_means",
    "masem",
    "matrix_regression",
    "means_from_quantiles",
    "measures",
    "multilevel",
    "multivariate",
    "orchard_plot",
    "p_curve",
    "pairwise",
    "permutation_test",
    "pet_peese",
    "posterior",
    "predict",
    "random_effects",
    "rank_test",
    "robust",
    "run_analyses",
    "run_project",
    "smooth_selection",
    "step_selection",
    "tidy",
    "trim_fill",
    "truncated_selection",
    "waap",
]


__getattr__ = on_first_use(
    "replication",
    {
        "replication.errors": ("DataError", "ModelError", "UserError"),
        "replication.models.fit": ("Fit",),
        "replication.frames.bayes": ("average_over_bias", "posterior"),
        "replication.frames.bias": (
            *("beta_selection", "bias_table", "egger_test", "excess_significance", "fail_safe_n", "henmi_copas"),
            *("p_curve", "pet_peese", "rank_test", "smooth_selection", "step_selection", "trim_fill"),
            *("truncated_selection", "waap"),
        ),
        "replication.frames.counts": ("glmm",),
        "replication.frames.dependence": ("aggregate", "covariance"),
        "replication.frames.fitted": ("FittedModel", "tidy"),
        "replication.frames.means": ("contrast", "joint_test", "marginal_means", "pairwise"),
        "replication.frames.measures": (
            *("effect_sizes", "effects_from_intervals", "means_from_quantiles", "measures"),
        ),
        "replication.frames.models": ("location_scale", "multilevel", "multivariate", "random_effects", "robust"),
        "replication.frames.plots": ("bubble_plot", "forest_plot", "funnel_plot", "orchard_plot"),
        "replication.frames.postestimation": (
            *("average_models", "blups", "bootstrap", "compare", "cumulative", "influence", "leave_one_out"),
            *("likelihood_ratio_test", "permutation_test", "predict"),
        ),
        "replication.frames.project": ("findings", "load_dataset", "run_analyses", "run_project"),
        "replication.frames.structural": ("correlation_matrices", "masem", "matrix_regression"),
    },
)


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)
