# Makes matrix_regression.json: Rscript matrix_regression.R > matrix_regression.json
suppressMessages({library(metafor); library(jsonlite)})
R <- rbind(c(1, .46, .31, .22), c(.46, 1, .52, .18), c(.31, .52, 1, -.09), c(.22, .18, -.09, 1))
set.seed(11); L <- matrix(rnorm(36), 6) * .02; V <- L %*% t(L) + diag(.003, 6)
one <- matreg(1, 2:4, R = R, n = 143); pooled <- matreg(1, 2:4, R = R, V = V); other <- matreg(3, c(4, 1), R = R, V = V)
pin <- function(f) list(beta = as.numeric(f$tab$beta), se = f$tab$se, p = f$tab$pval)
cat(toJSON(list(made_by = "Rscript matrix_regression.R > matrix_regression.json", versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  R = R, V = V, n = 143, one = c(pin(one), list(R2 = one$R2, F = as.numeric(one$F)[1], Fp = one$Fp)), pooled = c(pin(pooled), list(QM = as.numeric(pooled$QM)[1])), other = pin(other)), digits = NA, auto_unbox = TRUE))
