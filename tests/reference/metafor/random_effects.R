# Makes random_effects.json (about a minute): Rscript random_effects.R > random_effects.json
# Iterative estimators are run to convergence (by default metafor stops at an absolute change of 1e-5).
suppressMessages({library(metafor); library(jsonlite)})
tight_for <- function(y) list(threshold = 1e-13 * var(y), maxiter = 100000, tol = 1e-14 * var(y))

sets <- list(
  bcg = with(escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg), list(y = yi, v = vi, x = cbind(ablat))),
  bcg_rd = with(escalc("RD", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg), list(y = yi, v = vi, x = cbind(ablat, year - 1950))),
  raudenbush = with(dat.raudenbush1985, list(y = yi, v = vi, x = cbind(weeks))),
  molloy = with(escalc("ZCOR", ri = ri, ni = ni, data = dat.molloy2014), list(y = yi, v = vi, x = cbind(meanage))),
  normand = with(escalc("MD", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = dat.normand1999), list(y = yi, v = vi, x = cbind(n1i))),
  hine = with(escalc("RD", n1i = n1i, n2i = n2i, ai = ai, ci = ci, data = dat.hine1989), list(y = yi, v = vi, x = cbind(n1i)))
)

numbers <- function(x) as.numeric(unlist(x))
describe <- function(fit) {
  p <- try(predict(fit), silent = TRUE)
  interval <- if (fit$method == "EE") NULL else confint(fit, control = list(tol = 1e-14 * var(as.numeric(fit$yi)), maxiter = 100000, tau2.max = 1e4 * var(as.numeric(fit$yi))))$random[1, 2:3]
  list(beta = numbers(fit$beta), se = fit$se, ci_lb = fit$ci.lb, ci_ub = fit$ci.ub, p = fit$pval, tau2 = fit$tau2,
    tau2_se = fit$se.tau2, tau2_ci = numbers(interval), Q = fit$QE, Q_p = fit$QEp, I2 = fit$I2, H2 = fit$H2, R2 = fit$R2,
    QM = fit$QM, QM_p = fit$QMp, loglik = fit$fit.stats["ll", if (fit$method == "REML") "REML" else "ML"],
    pi_lb = numbers(p$pi.lb), pi_ub = numbers(p$pi.ub))
}

diagnose <- function(fit) {
  i <- influence(fit); b <- blup(fit); j <- baujat(fit, plot = FALSE)
  out <- list(rstudent = i$inf$rstudent, dffits = i$inf$dffits, cook = i$inf$cook.d, covratio = i$inf$cov.r,
    tau2_deleted = i$inf$tau2.del, Q_deleted = i$inf$QE.del, hat = i$inf$hat, dfbetas = as.matrix(as.data.frame(i$dfbs)),
    influential = i$is.infl, blup = b$pred, blup_se = b$se, blup_lb = b$pi.lb, ranef = ranef(fit)$pred,
    ranef_se = ranef(fit)$se, baujat_x = j$x, baujat_y = j$y)
  if (fit$int.only) {
    l <- leave1out(fit); u <- cumul(fit)
    out$leave_one_out <- list(beta = l$estimate, se = l$se, tau2 = l$tau2, Q = l$Q, I2 = l$I2, H2 = l$H2, p = l$pval)
    out$cumulative <- list(beta = u$estimate, se = u$se, tau2 = u$tau2, I2 = u$I2, p = u$pval)
  }
  out
}

one_set <- function(s) {
  fits <- list(); diagnostics <- list()
  keep <- complete.cases(cbind(s$y, s$v, s$x)); y <- as.numeric(s$y)[keep]; v <- as.numeric(s$v)[keep]; x <- s$x[keep, , drop = FALSE]
  tight <- tight_for(y)
  for (model in c("intercept", "moderators")) for (method in c("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM"))
    for (test in c("z", "t", "knha", "adhoc")) {
      if (method == "EE" && test != "z" || model == "moderators" && !test %in% c("z", "knha")) next
      fit <- suppressWarnings(if (model == "moderators") rma(y, v, mods = x, method = method, test = test, control = tight)
        else rma(y, v, method = method, test = test, control = tight))
      fits[[paste(model, method, test)]] <- describe(fit)
      if (method == "REML" && test %in% c("z", "knha"))
        diagnostics[[paste(model, method, test)]] <- suppressWarnings(diagnose(fit))
    }
  w <- seq_along(y)
  weighted <- lapply(c(z = "z", knha = "knha"), function(t) describe(rma(y, v, weights = w, test = t, control = tight)))
  list(y = y, v = v, x = x, fits = fits, diagnostics = diagnostics, weighted = weighted)
}

versions <- paste(R.version.string, "metafor", packageVersion("metafor"), "metadat", packageVersion("metadat"))
cat(toJSON(list(made_by = "Rscript random_effects.R > random_effects.json", versions = versions, sets = lapply(sets, one_set)),
  digits = NA, auto_unbox = TRUE, null = "null", na = "null"))
