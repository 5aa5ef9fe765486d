# Makes printed_summaries.json: Rscript printed_summaries.R > printed_summaries.json (conv.fivenum, conv.wald)
suppressMessages({library(metafor); library(jsonlite)})
five <- data.frame(min = c(2, NA, 2, 1, -3, NA), q1 = c(NA, 5, 5, NA, 1.5, 4), median = c(10, 9, 9, 20, 2.2, NA), q3 = c(NA, 14, 14, NA, 4, 10), max = c(19, NA, 22, 100, 8, NA), n = c(20, 45, 120, 12, 300, 60))
norm <- conv.fivenum(min, q1, median, q3, max, n, data = five, test = FALSE)
wald <- data.frame(out = c(1.37, 1.89, .64, .8), lower = c(1.03, 1.6, NA, NA), upper = c(1.82, 2.23, 1.22, NA), p = c(NA, NA, NA, .03))
w <- conv.wald(out, ci.lb = lower, ci.ub = upper, pval = p, data = wald, transf = log, check = FALSE)
cat(toJSON(list(made_by = "Rscript printed_summaries.R > printed_summaries.json", versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  five = five, mean = as.numeric(norm$mean), sd = as.numeric(norm$sd), tval = as.numeric(attr(norm$mean, "tval")), crit = as.numeric(attr(norm$mean, "crit")),
  wald = wald, yi = as.numeric(w$yi), vi = as.numeric(w$vi)), digits = NA, dataframe = "columns", na = "null"))
