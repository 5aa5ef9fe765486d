# Selection models whose pressure grows with imprecision (prec =), by metafor 3.8.1 iterated to convergence.
# Rscript selection_precision.R > selection_precision.json
suppressMessages({library(metafor); library(jsonlite)})
data <- dat.hackshaw1998
fit <- rma(yi, vi, data = data, method = "ML")
cases <- list()
for (type in c("halfnorm", "negexp", "logistic", "power")) for (prec in c("sei", "vi")) {
  # finer steps and integrals: the defaults leave four digits
  tight <- list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15, maxit = 10000,
                intCtrl = list(rel.tol = 1e-8, subdivisions = 500))
  f <- selmodel(fit, type = type, prec = prec, control = tight)
  cases[[paste(type, prec)]] <- list(beta = c(f$beta), tau2 = f$tau2, delta = f$delta, se_delta = f$se.delta,
                                     loglik = c(logLik(f)), LRT = f$LRT)
}
cat(toJSON(list(metafor = as.character(packageVersion("metafor")), y = c(data$yi), v = c(data$vi), fits = cases),
           digits = NA, auto_unbox = TRUE), "\n")
