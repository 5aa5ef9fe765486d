"""Meta-analytic models: numbers in, a frozen `Fit` out.

Three ideas carry this package:

1. A model takes effects `y (k,)`, their sampling variances `v (k,)` or covariance `V`, and moderators `X (k, p)`.
   It knows nothing of files, studies or claims.
2. It returns a frozen `Fit` that holds every choice made, by name. Nothing mutates a fit; robust inference is a
   function from a fit to another fit.
3. What did not go smoothly (a variance on its bound, rows left out, no convergence) is a `Note` on the fit: a value,
   not a warning lost on a screen.

Shape letters: k effects, m clusters, p coefficients, q variance components.
"""
