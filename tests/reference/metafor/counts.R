# Makes counts.json: Rscript counts.R > counts.json
# Two references. "metafor": rma.glmm with 50 points of quadrature (models whose package is at hand; its UM.RS has one point,
# a Laplace approximation, and is not pinned). "integral": the marginal likelihood by base R's integrate() at 1e-12 and
# optim() run until nothing moves, for the models with one integral (UM.RS has two; UM.FS a parameter for each study).
suppressMessages({library(metafor); library(jsonlite)})
bcg <- dat.bcg; niel <- dat.nielweise2008; niel7 <- dat.nielweise2007
bcg$lat <- bcg$ablat - 33

inner <- function(f) integrate(f, -9, 9, rel.tol = 1e-11, subdivisions = 2000L)$value
marginal <- function(h, tau, peak) { # h(theta offset): log-likelihood of u = tau z; scaled by its peak so nothing underflows
  top <- optimize(function(z) h(tau * z) - z^2 / 2, c(-8, 8), maximum = TRUE, tol = 1e-10)
  top$objective + log(inner(function(z) exp(sapply(z + top$maximum, function(s) h(tau * s) - s^2 / 2) - top$objective)) / sqrt(2 * pi))
}
hyper <- function(a, n1, c, n2) { s <- max(0, a + c - n2):min(n1, a + c); w <- lchoose(n1, s) + lchoose(n2, a + c - s)
  function(th) { e <- w + th * s; m <- max(e); lchoose(n1, a) + lchoose(n2, c) + th * a - m - log(sum(exp(e - m))) } }
climb <- function(start, minus) { # restarted until two runs agree
  best <- optim(start, minus, method = "BFGS", control = list(reltol = 1e-15, maxit = 1000))
  repeat { again <- optim(best$par, minus, method = "Nelder-Mead", control = list(reltol = 1e-15, maxit = 5000))
    again <- optim(again$par, minus, method = "BFGS", control = list(reltol = 1e-15, maxit = 1000))
    if (best$value - again$value < 1e-11) return(again); best <- again } }
fit <- function(likelihoods, X, start) { # likelihoods: a list of functions of theta
  minus <- function(par) tryCatch({ eta <- drop(X %*% par[-length(par)]); tau <- exp(par[length(par)])
    -sum(sapply(seq_along(likelihoods), function(i) marginal(function(u) likelihoods[[i]](eta[i] + u), tau))) }, error = function(e) 1e9)
  r <- climb(start, minus); p <- ncol(X)
  H <- numDeriv::hessian(minus, r$par, method.args = list(eps = 1e-3, r = 6))
  list(beta = r$par[1:p], se = sqrt(diag(solve(H)))[1:p], tau2 = exp(2 * r$par[p + 1]), loglik = -r$value) }

one <- matrix(1, 13, 1); rows <- seq_len(13)
h_bcg <- lapply(rows, function(i) with(bcg, hyper(tpos[i], tpos[i] + tneg[i], cpos[i], cpos[i] + cneg[i])))
plo <- lapply(rows, function(i) { x <- bcg$cpos[i]; n <- x + bcg$cneg[i]; function(th) dbinom(x, n, plogis(th), log = TRUE) })
irr <- lapply(seq_len(nrow(niel)), function(i) with(niel, { x <- x1i[i]; m <- x + x2i[i]; o <- log(t1i[i] / t2i[i]); function(th) dbinom(x, m, plogis(th + o), log = TRUE) }))
irl <- lapply(seq_len(nrow(niel)), function(i) with(niel, { x <- x1i[i]; t <- t1i[i]; function(th) dpois(x, t * exp(th), log = TRUE) }))
integral <- list(
  "OR conditional" = fit(h_bcg, one, c(-.75, log(.55))),
  "OR conditional lat" = fit(h_bcg, cbind(1, bcg$lat), c(-.7, -.03, log(.3))),
  "PLO" = fit(plo, one, c(-3, log(1.3))),
  "IRR conditional" = fit(irr, matrix(1, nrow(niel), 1), c(-.5, log(.5))),
  "IRLN" = fit(irl, matrix(1, nrow(niel), 1), c(-6, log(.8))))

pin <- function(...) { r <- do.call(rma.glmm, list(..., nAGQ = 50, control = list(glmerCtrl = list(optimizer = "bobyqa", optCtrl = list(rhobeg = 1e-2, rhoend = 1e-12, maxfun = 1e6)))))
  list(beta = as.numeric(r$beta), se = r$se, tau2 = r$tau2, Q = r$QE.LRT, df = r$QE.df) }
or <- function(...) pin(ai = bcg$tpos, bi = bcg$tneg, ci = bcg$cpos, di = bcg$cneg, measure = "OR", ...)
ir <- function(...) pin(x1i = niel$x1i, t1i = niel$t1i, x2i = niel$x2i, t2i = niel$t2i, measure = "IRR", ...)
peer <- list("OR fixed baselines" = or(model = "UM.FS"), "OR fixed baselines lat" = or(model = "UM.FS", mods = cbind(bcg$lat)), "OR approximate" = or(model = "CM.AL"),
  "IRR conditional" = ir(model = "CM.EL"), "IRR fixed baselines" = ir(model = "UM.FS"),
  "PLO" = pin(xi = bcg$cpos, ni = bcg$cpos + bcg$cneg, measure = "PLO"), "IRLN" = pin(xi = niel$x1i, ti = niel$t1i, measure = "IRLN"))
cat(toJSON(list(made_by = "Rscript counts.R > counts.json", versions = paste(R.version.string, "metafor", packageVersion("metafor"), "lme4", packageVersion("lme4")),
  bcg = bcg[c("tpos", "tneg", "cpos", "cneg", "lat")], niel = niel[c("x1i", "t1i", "x2i", "t2i")], integral = integral, metafor = peer), digits = NA, auto_unbox = TRUE))
