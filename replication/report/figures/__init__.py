"""The figures a report can draw, each from the columns and settings of an outcome's `Figure`.

Every kind may carry a `row` column with the id behind each row (an effect, a sample, a claim or an estimate): the row
is then a link. Columns in brackets may be left out, settings too. Values stand in the unit of the setting `metric`
("r", "z", "d", "beta", "tau2", "I2", "p", ...); `summary`, `summary_low`, `summary_high`, `prediction_low`,
`prediction_high` describe the whole, `estimate` is the id of the estimate it is, `reference` the value of no
association (0). `None` is a number that is not defined. `x_label` replaces the name of the metric below the axis.

kind              columns                                            what else it reads
forest            label value low high [weight n row new cluster     settings as above. `weight` in per cent (row-sum
                  level]                                             weights where V is not diagonal); `new` marks rows
                                                                     added since; `cluster` stands rows together under a
                                                                     heading; level "cluster" draws a cluster's own mean
caterpillar       label value low high [row]                         as forest; ordered by value here
orchard           label group role value [weight row low high        role "effect" or "summary"; the intervals belong to
                  prediction_low prediction_high]                    the summary rows
leave_one_out     label value low high [row]                         summary = nothing left out
cumulative        label value low high [row]                         in the order the rows were added
bias_comparison   label value low high [estimate group]              summary = unadjusted, drawn as a band
agreement         label value low high [estimate group shown]        label = the estimator; `shown` is text in place of
                                                                     the numbers; level "printed": somebody else's
prior_sensitivity label value low high [estimate group]              label = the prior
funnel            label value se [row new imputed]                   center = pooled value on the scale of `value`;
                                                                     line_intercept, line_slope = Egger's line
baujat            label x y [row]                                    x = share of Q, y = influence on the pooled value
gosh              value heterogeneity [includes]                     includes: subset holds the row named in `focus`;
                                                                     y_metric = "I2" or "tau2"
specification_curve value low high, and a column a choice      sorted by value; the choices stand below the curve,
                                                                     summary = the median
p_curve           p observed [flat low_power]                        p = upper end of each range; shares of results
density           curve x y                                          low, high = the interval to shade
tau2_profile      x y                                                estimate_value, low, high, cutoff
relation          label x y role [weight]                            role "point", "line" (a curve a label), "thin" (so,
                                                                     without a legend), "low" and "high" (a band);
                                                                     x_label, y_label: names; y_low, y_high: ends
path_diagram      from to value [low high kind estimate]             kind "path" or "covariance"; names are constructs
effect_direction  label outcome direction [row]                      direction + - 0 ?
calibration       label distance [row]                               distance in standard deviations of the prediction
verdict_strip     label work row verdict distance                    made by the report itself

A figure of another kind, or without a needed column, is shown as a table that says so.
"""

from replication.report.figures.canvas import Canvas, FigureData, Label, read_figure
from replication.report.figures.drawing import KINDS, Drawing, describe, draw

__all__ = ["KINDS", "Canvas", "Drawing", "FigureData", "Label", "describe", "draw", "read_figure"]
