# Makes smooth_selection.json: Rscript smooth_selection.R > smooth_selection.json (selmodel: halfnorm, negexp, power, negexppow)
suppressMessages({library(metafor); library(jsonlite)})
d <- dat.hackshaw1998; b <- dat.baskerville2012
one <- function(y, v, type, ...) {
  r <- rma(y, v, method = "ML", control = list(threshold = 1e-12, maxiter = 5000))
  s <- suppressWarnings(selmodel(r, type = type, alternative = "greater", ..., control = list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15, maxit = 10000, rel.tol = 1e-9, subdivisions = 1000)))
  list(beta = as.numeric(s$beta), se = s$se, tau2 = s$tau2, delta = as.numeric(s$delta), se_delta = as.numeric(s$se.delta), loglik = as.numeric(logLik(s)), LRT = s$LRT)
}
fits <- list()
for (t in c("halfnorm", "negexp", "power", "negexppow")) { fits[[paste("hackshaw", t)]] <- one(d$yi, d$vi, t); fits[[paste("baskerville", t)]] <- one(b$smd, b$se^2, t) }
fits[["baskerville negexppow fixed"]] <- one(b$smd, b$se^2, "negexppow", delta = c(2, 3))
cat(toJSON(list(made_by = "Rscript smooth_selection.R > smooth_selection.json", versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  hackshaw = list(y = d$yi, v = d$vi), baskerville = list(y = b$smd, v = b$se^2), fits = fits), digits = NA, auto_unbox = TRUE))
