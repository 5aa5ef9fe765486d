# Makes tau2_more.json: Rscript tau2_more.R > tau2_more.json
# Estimators of tau2 beside those of random_effects.R: iterated ones, moment estimators in weights of one's own, a
# tau2 that is held; and information criteria with likelihood-ratio tests.
suppressMessages({library(metafor); library(jsonlite)})
b <- escalc(measure = "RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
ctl <- list(threshold = 1e-14, maxiter = 20000)
pin <- function(f) list(tau2 = f$tau2, se_tau2 = f$se.tau2, beta = as.numeric(f$beta), se = f$se)
stats <- function(f) { s <- fitstats(f); list(loglik = s[1, 1], AIC = s[3, 1], BIC = s[4, 1], AICc = s[5, 1]) }
w <- 1 / (b$vi + .1)
fits <- list()
for (m in c("DLIT", "SJIT")) for (x in c("intercept", "moderator"))
  fits[[paste(m, x)]] <- pin(suppressWarnings(rma(yi, vi, mods = if (x == "moderator") ~ablat else ~1, data = b, method = m, control = ctl)))
fits[["GENQ intercept"]] <- pin(rma(yi, vi, data = b, method = "GENQ", weights = w))
fits[["GENQ moderator"]] <- pin(rma(yi, vi, mods = ~ablat, data = b, method = "GENQ", weights = w))
held <- list()
for (t in c(0, .05, .2, 1.5)) { f <- rma(yi, vi, mods = ~ablat, data = b, tau2 = t, test = "knha", method = "ML")
  held[[as.character(t)]] <- c(pin(f), list(loglik = as.numeric(logLik(f)))) }
small <- rma(yi, vi, data = b, method = "ML", control = ctl); large <- rma(yi, vi, mods = ~ablat + year, data = b, method = "ML", control = ctl)
restricted <- rma(yi, vi, mods = ~ablat, data = b, method = "REML", control = ctl)
lrt <- anova(small, large)
cat(toJSON(list(
  made_by = "Rscript tau2_more.R > tau2_more.json", versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  y = as.numeric(b$yi), v = as.numeric(b$vi), ablat = b$ablat, year = b$year, weights = as.numeric(w), fits = fits, held = held,
  criteria = list(ML = stats(small), moderators = stats(large), REML = stats(restricted)), lrt = list(statistic = lrt$LRT, p = lrt$pval)
), digits = NA, auto_unbox = TRUE, na = "null", null = "null"))
