# Makes bias.json (about ten minutes, most of it selection models): Rscript bias.R > bias.json
# Iterations run to convergence: by default metafor stops at a change of 1e-5 in tau2, and a trim-and-fill fit takes no
# control, so it is fitted again to the filled data.
suppressMessages({library(metafor); library(jsonlite)})
k <- 1:60
sets <- list(
  bcg = with(escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg), list(y = yi, v = vi, x = ablat)),
  hackshaw = with(dat.hackshaw1998, list(y = yi, v = vi)),
  cohen = with(escalc("ZCOR", ri = ri, ni = ni, data = dat.cohen1981), list(y = yi, v = vi)),
  raudenbush = with(dat.raudenbush1985, list(y = yi, v = vi, x = weeks)),
  normand = with(escalc("SMD", m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i, data = dat.normand1999), list(y = yi, v = vi)),
  molloy = with(escalc("ZCOR", ri = ri, ni = ni, data = dat.molloy2014), list(y = yi, v = vi)),
  dorn = with(escalc("RR", ai = x.a, n1i = n.a, ci = x.p, n2i = n.p, data = dat.dorn2007), list(y = yi, v = vi)),
  li = with(escalc("OR", ai = ai, n1i = n1i, ci = ci, n2i = n2i, data = dat.li2007), list(y = yi, v = vi)),
  hine = with(escalc("RD", n1i = n1i, n2i = n2i, ai = ai, ci = ci, data = dat.hine1989), list(y = yi, v = vi)),
  mcdaniel = with(escalc("ZCOR", ri = ri, ni = ni, data = dat.mcdaniel1994), list(y = yi, v = vi)),
  bangertdrowns = with(dat.bangertdrowns2004, list(y = yi, v = vi)),
  baskerville = with(dat.baskerville2012, list(y = smd, v = se^2)),
  made = list(y = 0.2 + 0.3 * sin(7 * k) + 0.1 * cos(3 * k) * sqrt(k), v = 0.01 + 0.002 * k^1.3)
)

tight <- list(threshold = 1e-13, maxiter = 10000)
numbers <- function(x) unname(as.numeric(x))
fit <- function(s, method, test = "z", mods = NULL) {
  if (method %in% c("EE", "DL")) return(rma(s$y, s$v, method = method, test = test))
  if (is.null(mods)) rma(s$y, s$v, method = method, test = test, control = tight) else rma(s$y, s$v, mods = mods, method = method, test = test, control = tight)
}

egger <- function(f, ...) { r <- regtest(f, ...); list(statistic = r$zval, p = r$pval, limit = r$est, low = r$ci.lb, high = r$ci.ub) }
fill <- function(f, estimator, side) {
  r <- tryCatch(if (side == "auto") trimfill(f, estimator = estimator) else trimfill(f, estimator = estimator, side = side), error = function(e) NULL)
  if (is.null(r)) return(list(error = "trimfill stops"))
  a <- fit(list(y = numbers(r$yi), v = numbers(r$vi)), f$method)
  list(k0 = r$k0, k0_se = r$se.k0, p = r$p.k0, side = r$side, mu = numbers(a$beta), se = a$se, tau2 = a$tau2)
}
excess <- function(f, test, alternative) {
  r <- tes(f, test = test, alternative = alternative, progbar = FALSE)
  list(observed = r$O, expected = r$E, p = r$pval, limit = if (test == "exact") numbers(r$theta.lim) else NA)
}

bfgs <- list(reltol = 1e-14, maxit = 3000)
fine <- list(reltol = 1e-13, maxit = 2000, intCtrl = list(rel.tol = 1e-11, abs.tol = 0, subdivisions = 1000))
select <- function(f, ..., control = bfgs) {
  s <- tryCatch(suppressWarnings(selmodel(f, ..., control = control)), error = function(e) conditionMessage(e))
  if (is.character(s)) return(list(error = s))
  list(beta = numbers(s$beta), se = numbers(s$se), tau2 = s$tau2, tau2_se = s$se.tau2, delta = numbers(s$delta),
    delta_se = numbers(s$se.delta), loglik = numbers(logLik(s)), LRT = s$LRT, LRT_df = s$LRTdf, LRT_p = s$LRTp)
}
moderate <- c(1, 0.99, 0.95, 0.80, 0.75, 0.65, 0.60, 0.55, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50)
many <- c(0.005, 0.01, 0.05, 0.10, 0.25, 0.35, 0.50, 0.65, 0.75, 0.90, 0.95, 0.99, 0.995)

describe <- function(s, name) {
  toward <- if (sum(s$y / s$v) > 0) "greater" else "less"
  reml <- fit(s, "REML"); ml <- fit(s, "ML"); ee <- fit(s, "EE")
  rank <- suppressWarnings(ranktest(reml))
  centre <- hc(fit(s, "DL"))
  tests <- if (length(s$y) <= 16) c("chi2", "binom", "exact") else c("chi2", "binom")
  cases <- expand.grid(test = tests, method = c("EE", "REML"), alternative = c("two.sided", "greater"), stringsAsFactors = FALSE)
  fills <- expand.grid(method = c("REML", "ML", "EE", "DL"), estimator = c("L0", "R0", "Q0"), side = c("auto", "left", "right"), stringsAsFactors = FALSE)
  steps <- list(one = list(ml, steps = .025, alternative = toward), two = list(ml, steps = c(.025, .5), alternative = toward),
    three = list(ml, steps = c(.025, .1, .5), alternative = toward), two_sided = list(ml, steps = c(.05, .5), alternative = "two.sided"),
    common = list(ee, steps = .025, alternative = toward), fixed = list(ml, steps = many, delta = moderate, alternative = toward))
  if (!is.null(s$x)) steps$moderator <- list(fit(s, "ML", mods = s$x), steps = .025, alternative = toward)
  list(y = s$y, v = s$v, x = s$x, toward = toward,
    egger = list(wls_se = egger(reml, model = "lm"), wls_variance = egger(reml, model = "lm", predictor = "vi"), REML_z_se = egger(reml),
      REML_z_variance = egger(reml, predictor = "vi"), REML_knha_se = egger(fit(s, "REML", "knha")), EE_z_se = egger(ee), DL_z_se = egger(fit(s, "DL"))),
    rank = list(tau = numbers(rank$tau), p = numbers(rank$pval)),
    fill = setNames(Map(function(m, e, d) suppressWarnings(fill(fit(s, m), e, d)), fills$method, fills$estimator, fills$side), paste(fills$method, fills$estimator, fills$side, sep = "_")),
    fail_safe = lapply(setNames(nm = c("Rosenthal", "Orwin", "Rosenberg")), function(type) fsn(s$y, s$v, type = type)$fsnum),
    henmi_copas = list(estimate = numbers(centre$beta), se = numbers(centre$se), low = numbers(centre$ci.lb), high = numbers(centre$ci.ub), tau2 = centre$tau2),
    excess = setNames(Map(function(t, m, a) excess(fit(s, m), t, a), cases$test, cases$method, cases$alternative), paste(cases$test, cases$method, cases$alternative, sep = "_")),
    step = lapply(steps, function(a) do.call(select, c(a, type = "stepfun"))),
    beta = if (name %in% c("bcg", "cohen")) select(ml, type = "beta", alternative = toward, control = fine))
}

clean <- function(s) { ok <- !is.na(s$y) & !is.na(s$v); list(y = numbers(s$y)[ok], v = numbers(s$v)[ok], x = if (is.null(s$x)) NULL else numbers(s$x)[ok]) }
made_by <- paste0(R.version.string, ", metafor ", packageVersion("metafor"), ", metadat ", packageVersion("metadat"), "; script bias.R")
out <- lapply(setNames(nm = names(sets)), function(name) { message(name); describe(clean(sets[[name]]), name) })
cat(toJSON(list(made_by = made_by, sets = out), digits = NA, auto_unbox = TRUE, na = "null", null = "null"), "\n")
