# Makes permutation.json: Rscript permutation.R > permutation.json (exact permutation tests: every arrangement)
suppressMessages({library(metafor); library(jsonlite)})
b <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
small <- b[c(1, 3, 4, 6, 8, 11, 13), ]
ctl <- list(threshold = 1e-12, maxiter = 5000)
one <- permutest(rma(yi, vi, data = small, control = ctl), exact = TRUE, progbar = FALSE)
two <- permutest(rma(yi, vi, mods = ~ ablat, data = small, control = ctl), exact = TRUE, progbar = FALSE)
knha <- permutest(rma(yi, vi, mods = ~ ablat, data = small, test = "knha", control = ctl), exact = TRUE, progbar = FALSE)
cat(toJSON(list(made_by = "Rscript permutation.R > permutation.json", versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  y = as.numeric(small$yi), v = as.numeric(small$vi), ablat = small$ablat,
  one = one$pval, two = list(p = as.numeric(two$pval), omnibus = two$QMp), knha = list(p = as.numeric(knha$pval), omnibus = knha$QMp)), digits = NA, auto_unbox = TRUE))
