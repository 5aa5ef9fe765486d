"""Every option word of the models, in one place. A bad word's error lists the good ones."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Literal, get_args

from replication.errors import ModelError

__all__ = [
    "Alternative",
    "BoundRule",
    "Direction",
    "EffectMetric",
    "EmptyStep",
    "FailSafeKind",
    "FillEstimator",
    "FillSide",
    "FunnelModel",
    "FunnelPredictor",
    "LevelStructure",
    "LikelihoodMethod",
    "NormalTest",
    "OutcomeStructure",
    "PredictionMethod",
    "PriorScale",
    "PriorTarget",
    "PublishedScale",
    "RobustDf",
    "RobustKind",
    "SampleSizeRule",
    "SampleStructure",
    "SamplingRule",
    "SelectionSides",
    "SelectionTau2",
    "SmallStudyRegressor",
    "SmoothSelection",
    "Tau2IntervalMethod",
    "Tau2Method",
    "Tau2Structure",
    "TestMethod",
    "check_choice",
]

# Estimators of the between-study variance tau2; EE is the common-effect model (tau2 = 0 by assumption). CO is another
# name of HE; GENQ is the moment estimator in the user's weights; DLIT and SJIT iterate DL and SJ to their end.
Tau2Method = Literal["EE", "DL", "DLIT", "HE", "CO", "GENQ", "HS", "HSk", "SJ", "SJIT", "ML", "REML", "EB", "PM", "PMM"]

# How coefficients are tested: normal, t, Knapp-Hartung, Knapp-Hartung that never narrows.
TestMethod = Literal["z", "t", "knha", "adhoc"]

# Likelihood of a multilevel model, how its coefficients are tested, and how labels of inner levels are read.
LikelihoodMethod = Literal["REML", "ML"]
NormalTest = Literal["z", "t"]
LevelStructure = Literal["nested", "crossed"]

# How true effects of several outcomes (or occasions) of one study covary: one variance (ID) or one for each outcome
# (DIAG) without correlation; one correlation with one variance (CS) or several (HCS); correlations that fall with the
# distance in time, rho^|t - s| (AR, with a variance for each occasion HAR, in continuous time CAR); anything (UN).
OutcomeStructure = Literal["UN", "CS", "HCS", "ID", "DIAG", "AR", "HAR", "CAR"]

# Cluster-robust covariances (Pustejovsky & Tipton 2018) and where their degrees of freedom come from.
RobustKind = Literal["CR0", "CR1", "CR1p", "CR1S", "CR2"]
RobustDf = Literal["satterthwaite", "clusters"]

# Degrees of freedom of prediction intervals: those of the fit's test, or k - p - 1 (Riley, Higgins & Deeks 2011).
PredictionMethod = Literal["test", "riley"]

# Intervals for tau2.
Tau2IntervalMethod = Literal["qprofile", "profile", "wald"]

# The quantity a heterogeneity prior is stated on: the standard deviation or the variance.
PriorScale = Literal["tau", "tau2"]

# What varies between samples in a sampled model: nothing, one deviation per sample, one per cell (correlated).
SampleStructure = Literal["none", "shared", "by_cell"]

# p values that decide on publication: two-sided, or one-sided towards the expected sign.
SelectionSides = Literal["one", "two"]

# Model averaging over bias: the metric its default priors are for, and what small-study effects are regressed on.
EffectMetric = Literal["z", "d"]
SmallStudyRegressor = Literal["PET", "PEESE"]

# The scale a published estimate is printed on: correlations are moved to Fisher's z, anything else is taken as it is.
PublishedScale = Literal["r", "identity"]

# What a prior made from a published pool is about: the same average, or the mean of another setting.
PriorTarget = Literal["mean", "setting"]


# Meta-analytic SEM: whose correlations stand behind the sampling covariances; how the between-study covariance is
# shaped; how the standard errors treat a variance on its bound; and which n a study has whose rows differ in n.
SamplingRule = Literal["weighted", "individual", "unweighted", "weighted-missing-as-zero"]
Tau2Structure = Literal["diagonal", "symmetric", "zero"]
BoundRule = Literal["full-hessian", "held"]
SampleSizeRule = Literal["same", "smallest"]

# Models of counts: odds ratios, rate ratios, proportions, rates; and how two groups are modelled: a baseline of each
# study as a parameter (UM.FS), baselines drawn from a normal distribution (UM.RS), or given the total of events (CM.EL;
# for odds ratios of rare events approximately: CM.AL).
CountMeasure = Literal["OR", "IRR", "PLO", "IRLN"]
CountModel = Literal["fixed baselines", "random baselines", "conditional", "approximate"]

# Bias: the side on which effects are expected (and favoured), and the alternative of the tests in the studies.
Direction = Literal["positive", "negative"]
Alternative = Literal["positive", "negative", "two-sided"]

# Funnel regressions: least squares with one dispersion (Egger 1997), or a mixed-effects model; and the regressor.
FunnelModel = Literal["wls", "mixed"]
FunnelPredictor = Literal["se", "variance", "n", "inverse_n", "sqrt_inverse_n"]

# Trim and fill: estimators of the number missing (Duval & Tweedie 2000), and the side where they are missing.
FillEstimator = Literal["L0", "R0", "Q0"]
FillSide = Literal["left", "right"]

# Fail-safe N: the p of Stouffer's z, the mean, the p of the common-effect mean, or that of a random-effects mean.
FailSafeKind = Literal["Rosenthal", "Orwin", "Rosenberg", "General"]

# Selection models: tau2 by maximum likelihood or 0; what to do with a step that holds no p value.
SelectionTau2 = Literal["ML", "EE"]

# Smooth weight functions: exp(-d p^2), exp(-d p), 2 / (1 + exp(d p)), (1 - p)^d, and with a second parameter
# exp(-d p^(1/e)); d = 0 being no selection.
SmoothSelection = Literal["half-normal", "negative exponential", "logistic", "power", "negative exponential power"]
EmptyStep = Literal["error", "merge", "zero"]


def check_choice(value: str, choices: object, option: str) -> None:
    """Raise a `ModelError` unless `value` is one of the words of the `Literal` alias `choices`.

    >>> check_choice("REML", Tau2Method, "method")
    """
    words = get_args(choices)
    if value not in words:
        close = get_close_matches(str(value).lower(), [word.lower() for word in words], n=1, cutoff=0.5)
        hint = next((f"did you mean {word!r}? C" for word in words if close and word.lower() == close[0]), "c")
        raise ModelError(f"{option}={value!r} is not known; {hint}hoose one of {', '.join(map(repr, words))}.")
