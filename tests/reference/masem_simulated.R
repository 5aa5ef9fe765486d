# Pins of metaSEM for the four simulated data sets of masem_simulated.json: Rscript masem_simulated.R inputs.json pins.json
# OpenMx's defaults stop likelihood-based intervals up to 0.05 short of or past the cutoff, so tolerances are tightened.
suppressMessages({library(metaSEM); library(jsonlite)})
mxOption(NULL, "Feasibility tolerance", 1e-9)
mxOption(NULL, "Optimality tolerance", 1e-12)
files <- commandArgs(trailingOnly = TRUE)
inputs <- fromJSON(files[1], simplifyVector = FALSE)
number <- function(x) if (is.null(x)) NA else as.numeric(x)
stats <- function(m) as.list(setNames(as.numeric(m[, 1]), rownames(m)))

stage2 <- function(s, ram) {
  wald <- summary(tssem2(s, RAM = ram))
  lb <- tryCatch(summary(tssem2(s, RAM = ram, intervals.type = "LB"))$coefficients, error = function(e) NULL)
  list(names = rownames(wald$coefficients), est = wald$coefficients$Estimate, se = wald$coefficients$Std.Error,
       stat = stats(wald$stat), lb_names = rownames(lb), low = lb$lbound, high = lb$ubound)
}

one_stage <- function(data, ram, a = NULL, s = NULL) {
  fit <- osmasem(RAM = ram, data = data, Ax = a, Sx = s)
  plain <- is.null(a) && is.null(s)
  z <- summary(fit, fitIndices = plain)
  out <- list(names = z$parameters$name, est = z$parameters$Estimate, se = z$parameters$Std.Error,
              m2ll = z$Minus2LogLikelihood, tau2 = diag(VarCorr(fit)))
  if (plain) out$indices <- list(chi2 = z$Chi, df = z$ChiDoF, cfi = z$CFI, tli = z$TLI, rmsea = z$RMSEA,
                                 rmsea_ci = z$RMSEACI, srmr = osmasemSRMR(fit))
  out
}

pins <- lapply(inputs, function(set) {
  v <- unlist(set$variables)
  data <- lapply(set$matrices, function(m) matrix(sapply(unlist(m, recursive = FALSE), number), length(v), byrow = TRUE,
                                                  dimnames = list(v, v)))
  n <- unlist(set$n)
  ram <- lavaan2RAM(set$model, obs.variables = v)
  out <- list()
  for (acov in c("weighted", "individual", "unweighted")) {
    s <- tssem1(data, n, method = "REM", RE.type = "Diag", acov = acov)
    z <- summary(s)
    out[[acov]] <- list(est = z$coefficients$Estimate, se = z$coefficients$Std.Error, m2ll = z$Minus2LL, Q = z$Q.stat$Q,
                        df = z$Q.stat$Q.df, I2 = z$I2.values[, 2], status = s$mx.fit$output$status$code)
    if (acov == "weighted") out$stage2_random <- tryCatch(stage2(s, ram), error = function(e) list(error = conditionMessage(e)))
  }
  z <- summary(tssem1(data, n, method = "REM", RE.type = "Zero"))
  out$zero <- list(est = z$coefficients$Estimate, se = z$coefficients$Std.Error, m2ll = z$Minus2LL)
  fixed <- tssem1(data, n, method = "FEM")
  z <- summary(fixed)
  out$fixed <- list(est = z$coefficients$Estimate, se = z$coefficients$Std.Error, stat = stats(z$stat))
  out$stage2_fixed <- stage2(fixed, ram)
  frame <- Cor2DataFrame(data, n)
  out$one_stage <- one_stage(frame, ram)
  if (!is.null(set$lag)) {
    frame$data <- data.frame(frame$data, Lag = unlist(set$lag), check.names = FALSE)
    out$one_stage_paths <- one_stage(frame, ram, a = create.modMatrix(ram, output = "A", mod = "Lag"))
    out$one_stage_covariances <- one_stage(frame, ram, s = create.modMatrix(ram, output = "S", mod = "Lag"))
  }
  out
})
versions <- sapply(c("metaSEM", "OpenMx", "lavaan"), function(p) as.character(packageVersion(p)))
pins$versions <- c(R = as.character(getRversion()), as.list(versions))
write(toJSON(pins, digits = NA, auto_unbox = TRUE, na = "null"), files[2])
