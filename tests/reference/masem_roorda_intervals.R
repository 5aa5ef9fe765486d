# Likelihood-based intervals of metaSEM on the 45 samples, with OpenMx's tolerances tightened (its defaults let chi-square
# end up to 0.05 off the cutoff): Rscript masem_roorda_intervals.R intervals.json
suppressMessages({library(metaSEM); library(jsonlite)})
mxOption(NULL, "Feasibility tolerance", 1e-9)
mxOption(NULL, "Optimality tolerance", 1e-13)
model <- "enga ~ b31*pos + b32*neg
          achiev ~ b43*enga
          pos ~~ p21*neg
          pos ~~ 1*pos
          neg ~~ 1*neg
          ind_pos := b31*b43
          ind_neg := b32*b43"
ram <- lavaan2RAM(model, obs.variables = c("pos", "neg", "enga", "achiev"))
two_stage <- function(...) {
  s <- tssem1(Roorda11$data, Roorda11$n, method = "REM", RE.type = "Diag", ...)
  z <- summary(tssem2(s, RAM = ram, intervals.type = "LB"))
  rows <- rbind(z$coefficients[, c("lbound", "Estimate", "ubound")], z$mx.algebras)
  setNames(lapply(seq_len(nrow(rows)), function(i) as.list(rows[i, ])), sub("\\[1,1\\]", "", rownames(rows)))
}
out <- list(weighted = two_stage(acov = "weighted"), individual = two_stage(acov = "individual"),
            unweighted = two_stage(acov = "unweighted"), "weighted-missing-as-zero" = two_stage(asyCovOld = TRUE))
fit <- osmasem(RAM = ram, data = Cor2DataFrame(Roorda11$data, Roorda11$n), intervals.type = "LB")
ci <- summary(fit)$CI
out$one_stage <- setNames(lapply(seq_len(nrow(ci)), function(i) as.list(ci[i, 1:3])), rownames(ci))
write(toJSON(out, digits = NA, auto_unbox = TRUE), commandArgs(trailingOnly = TRUE)[1])
