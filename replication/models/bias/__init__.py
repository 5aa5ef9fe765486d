"""Publication bias: tests of funnel asymmetry, adjusted estimates and selection models, one family a file.

Three ideas carry this package:

1. Bias methods disagree because they assume different kinds of selection; none of them is a correction to believe
   alone. Each result says what it rests on, and they are meant to be read side by side.
2. The expected direction is an argument (`direction`, `side`, `alternative`), never guessed from the data unless the
   docstring says how.
3. What a method cannot tell (no result in a step, all standard errors equal, no maximum) is an error that says what to
   do, or NaN with a note: never a number that looks fine.
"""

from replication.models.bias.funnel_asymmetry import (
    EggerTest,
    RankTest,
    egger_of_fit,
    egger_test,
    fit_funnel_regression,
    rank_test,
)
from replication.models.bias.henmi_copas import HenmiCopas, henmi_copas
from replication.models.bias.multilevel_funnel import fit_multilevel_funnel, multilevel_pet_peese
from replication.models.bias.p_curve import PCurve, PCurveShares, PCurveTest, p_curve, p_curve_shares
from replication.models.bias.pet_peese import PetPeese, peese, pet, pet_peese
from replication.models.bias.selection_fit import SelectionFit, SelectionParameter
from replication.models.bias.selection_intervals import selection_intervals
from replication.models.bias.selection_models import (
    fit_beta_selection,
    fit_smooth_selection,
    fit_step_selection,
    fit_truncated_selection,
)
from replication.models.bias.significance_counts import (
    ExcessSignificance,
    FailSafe,
    excess_significance,
    fail_safe_general,
    fail_safe_orwin,
    fail_safe_rosenberg,
    fail_safe_rosenthal,
)
from replication.models.bias.trim_fill import TrimFill, trim_fill
from replication.models.bias.waap import Waap, waap_wls

__all__ = [
    "EggerTest",
    "ExcessSignificance",
    "FailSafe",
    "HenmiCopas",
    "PCurve",
    "PCurveShares",
    "PCurveTest",
    "PetPeese",
    "RankTest",
    "SelectionFit",
    "SelectionParameter",
    "TrimFill",
    "Waap",
    "egger_of_fit",
    "egger_test",
    "excess_significance",
    "fail_safe_general",
    "fail_safe_orwin",
    "fail_safe_rosenberg",
    "fail_safe_rosenthal",
    "fit_beta_selection",
    "fit_funnel_regression",
    "fit_multilevel_funnel",
    "fit_smooth_selection",
    "fit_step_selection",
    "fit_truncated_selection",
    "henmi_copas",
    "multilevel_pet_peese",
    "p_curve",
    "p_curve_shares",
    "peese",
    "pet",
    "pet_peese",
    "rank_test",
    "selection_intervals",
    "trim_fill",
    "waap_wls",
]
