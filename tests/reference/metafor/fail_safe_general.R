# Makes fail_safe_general.json: Rscript fail_safe_general.R > fail_safe_general.json (fsn, type = "General")
suppressMessages({library(metafor); library(jsonlite)})
data <- list(hackshaw = list(y = dat.hackshaw1998$yi, v = dat.hackshaw1998$vi),
  baskerville = list(y = dat.baskerville2012$smd, v = dat.baskerville2012$se^2))
set.seed(1)
fits <- list()
for (n in names(data)) for (m in c("REML", "DL", "EE")) for (t in c(NA, .05)) {
  d <- data[[n]]
  f <- if (is.na(t)) fsn(d$y, d$v, type = "General", method = m) else fsn(d$y, d$v, type = "General", method = m, target = t)
  fits[[length(fits) + 1]] <- list(data = n, method = m, target = t, n = f$fsnum, est = f$est, est_fsn = f$est.fsn, tau2_fsn = f$tau2.fsn, p_fsn = f$pval.fsn)
}
cat(toJSON(list(made_by = "Rscript fail_safe_general.R > fail_safe_general.json", versions = paste(R.version.string, "metafor", packageVersion("metafor")), data = data, fits = fits), digits = NA, auto_unbox = TRUE))
