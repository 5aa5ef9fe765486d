"""The figures a report can draw, each from the columns and settings of an outcome's `Figure`.

Every kind may carry a `row` column with the id behind each row (an effect, a sample, a claim or an estimate): the row
is then a link. Columns in brackets may be left out, settings too. Values stand in the unit of the setting `metric`
("r", "z", "d", "beta", "tau2", "I2", "p", ...); `summary`, `summary_low`, `summary_high`, `prediction_low`,
`prediction_high` describe the whole, `estimate` is the id of the estimate it is, `reference` the value of no
association (0). `None` is a number that is not defined. `x_label` replaces the name of the metric below the axis.

kind              columns                                            what else it reads
forest            label value low high [weight n row new cluster     settings as above. `weight` in per cent (row-sum
                  level]                                             weights, added over a sample's rows); `new` marks
                                                                     rows added since; `cluster` stands rows together
                                                                     under a heading; level "cluster" draws a part's own
                                                                     mean; `samples` and `persons` make the headline
                                                                     and the line at the foot
leave_one_out     label value low high [row]                         summary = nothing left out
bias_comparison   label value low high [estimate group]              summary = unadjusted, drawn as a band
agreement         label value low high [estimate group level]        level "printed": somebody else's number
prior_sensitivity label value low high [estimate group]              label = the prior
funnel            label value se [row new imputed]                   center = pooled value on the scale of `value`;
                                                                     line_intercept, line_slope, egger_p = Egger's line
                                                                     and its test; `new` marks open data
baujat            label x y [row]                                    x = per cent of Q, y = influence on the mean
specification_curve value low high, and a column a choice      sorted by value; the choices stand below the curve,
                  [adjusted]                                         summary = the median; `adjusted`: models of bias
p_curve           p observed [flat low_power]                        p = upper end of each range; shares of results
density           curve x y                                          low, high = the interval to shade
caterpillar       label value low high [row]                         as forest, in order of size (of the library)
cumulative        label value low high [row]                         in the order the rows were added (of the library)
orchard           label group role value [weight row low high        role "effect" or "summary"; the intervals belong to
                  prediction_low prediction_high]                    the summary rows (of the library)
countries         label group value [weight row known new]           group = the country, known "yes" where it is one
relation          label x y role [weight]                            role "point", "line" (a curve a label), "thin" (so,
                                                                     without a legend), "low" and "high" (a band);
                                                                     x_label, y_label: names; y_low, y_high: ends
path_diagram      from to value [low high kind estimate]             kind "path" or "covariance"; names are constructs;
                                                                     indirect_positive, _negative (with _low, _high)
effect_direction  label outcome direction [row expected wanted]      direction + - 0 ?; wanted: whether one wants that
                                                                     direction of that outcome
calibration       label distance [row]                               distance in standard deviations of the prediction
certainty_strip   domain step [reason]                               step 0, -1 or -2; settings start (4 = high) and
                                                                     certainty, the word it ends with
flow_diagram      role label count                                   role "main" or "out": what leaves after the last
                                                                     main box
verdict_strip     label work row verdict distance                    made by the report itself

Above every figure stands its result in a line (`headlines`), below it what it rests on and where it comes from.
Numbers of a figure and the ticks of its axis have as many decimals as each other (`FigureData.shown_as`).
Pages of one figure (settings `page`, `pages`) share the ends of their scale by `scale_low` and `scale_high`.
A figure of another kind, or without a needed column, is shown as a table that says so.
"""

from replication.report.figures.canvas import WIDE, Canvas, FigureData, Label, read_figure
from replication.report.figures.drawing import KINDS, Drawing, describe, draw

__all__ = ["KINDS", "WIDE", "Canvas", "Drawing", "FigureData", "Label", "describe", "draw", "read_figure"]
