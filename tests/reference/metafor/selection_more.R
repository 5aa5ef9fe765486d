# Makes selection_more.json: Rscript selection_more.R > selection_more.json
# selmodel: logistic and truncated; confint of tau2 and of the selection parameters by profile likelihood
suppressMessages({library(metafor); library(jsonlite)})
d <- dat.hackshaw1998; b <- dat.baskerville2012
tight <- list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15, maxit = 10000, intCtrl = list(rel.tol = 1e-8, subdivisions = 500))
one <- function(y, v, type, ..., ci = TRUE) {
  r <- rma(y, v, method = "ML", control = list(threshold = 1e-12, maxiter = 5000))
  s <- suppressWarnings(selmodel(r, type = type, alternative = "greater", control = tight, ...))
  list(beta = as.numeric(s$beta), se = s$se, tau2 = s$tau2, delta = as.numeric(s$delta), se_delta = as.numeric(s$se.delta),
       loglik = as.numeric(logLik(s)), LRT = s$LRT, ci = if (ci) limits(s) else NULL)
}
limits <- function(s) {
  found <- suppressWarnings(confint(s, control = list(tol = 1e-9, maxiter = 1000)))
  if (!is.null(found$random)) found <- list(found)
  rows <- lapply(found[!sapply(found, is.null)], function(x) if (is.list(x)) as.numeric(x$random[1, ]) else NULL)
  rows[!sapply(rows, is.null)]
}
fits <- list(
  "hackshaw logistic" = one(d$yi, d$vi, "logistic", ci = FALSE), "baskerville logistic" = one(b$smd, b$se^2, "logistic", ci = FALSE),
  "hackshaw power" = one(d$yi, d$vi, "power"),
  "hackshaw truncated 0.1" = one(d$yi, d$vi, "trunc", steps = .1), "hackshaw truncated 0" = one(d$yi, d$vi, "trunc"),
  "baskerville truncated 0.3" = one(b$smd, b$se^2, "trunc", steps = .3),
  "hackshaw step 0.5" = one(d$yi, d$vi, "stepfun", steps = .5))
cat(toJSON(list(made_by = "Rscript selection_more.R > selection_more.json", versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  hackshaw = list(y = d$yi, v = d$vi), baskerville = list(y = b$smd, v = b$se^2), fits = fits), digits = NA, auto_unbox = TRUE))
