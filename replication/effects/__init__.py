"""From printed numbers to effect sizes with sampling variances.

Two ideas carry this package:

1. One function, one formula. Each takes numbers or arrays of one shape, checks them, and returns an `EffectSize`:
   estimate, sampling variance, metric. A missing number (NaN) gives a missing effect, never a guess.
2. What was assumed or repaired on the way (a zero cell filled, a beta read as r, a reliability divided out) is a
   `Flag` on the result and travels with it.
"""
