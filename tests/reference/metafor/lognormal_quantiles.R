# Makes lognormal_quantiles.json: Rscript lognormal_quantiles.R FOLDER > lognormal_quantiles.json
# conv.fivenum(dist = "lnorm") of metafor 5.1-12 (commit 71ae8f5), whose R files lie in FOLDER, within metafor 3.8.1
suppressMessages({library(metafor); library(jsonlite)})
e <- new.env(parent = asNamespace("metafor"))
for (f in c("mfopt.r", "misc.func.hidden.r", "conv.fivenum.r")) sys.source(file.path(commandArgs(TRUE)[1], f), envir = e)
d <- data.frame(n = c(45, 60, 200, 12, 30, 80, 500), min = c(1.2, NA, 0.5, NA, 2, NA, .8), q1 = c(NA, 4.1, 2.2, 3, NA, 10, 3),
                median = c(6, 7.7, 4.6, 5.5, 9, 18.5, 6), q3 = c(NA, 14, 9.3, 11, NA, 36, 12.5), max = c(31, NA, 44, NA, 55, NA, 60))
f <- e$conv.fivenum(min = d$min, q1 = d$q1, median = d$median, q3 = d$q3, max = d$max, n = d$n, dist = "lnorm", transf = TRUE)
cat(toJSON(list(versions = paste(R.version.string, "conv.fivenum of metafor 5.1-12 in the namespace of", packageVersion("metafor")),
                five = d, mean = f$mean, sd = f$sd), dataframe = "columns", digits = NA, na = "null"), "\n")
