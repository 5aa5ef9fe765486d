"""Data frames and formulas in, labelled results out: the layer researchers work with.

Three ideas carry this package:

1. The models (`replication.models`) know arrays only. Here columns get their names, formulas their design (formulaic),
   rows their labels, and all of them travel with the result: a `FittedModel`.
2. A row that is left out for a missing value is listed with the columns that lack one; an intercept is there as the
   formula says, never dropped in silence.
3. What comes out is a data frame, a text for people, or a figure. No number is computed here that the models own.
"""
