# Makes multivariate.json: Rscript multivariate.R > multivariate.json
# Several outcomes at once (rma.mv with struct), iterated to convergence.
suppressMessages({library(metafor); library(jsonlite)})
fit_mv <- function(...) {  # several optimisers, each as tight as it goes; the highest peak counts
  controls <- list(list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15, maxit = 10000),
    list(optimizer = "optim", optmethod = "Nelder-Mead", reltol = 1e-15, maxit = 50000),
    list(optimizer = "nlminb", rel.tol = 1e-10, iter.max = 5000, eval.max = 20000))
  call <- match.call(); call[[1]] <- quote(rma.mv); frame <- parent.frame()
  fits <- lapply(controls, function(control) { call$control <- control
    tryCatch(suppressWarnings(eval(call, frame)), error = function(e) NULL) })
  fits <- Filter(Negate(is.null), fits)
  fits[[which.max(sapply(fits, logLik))]]
}
pin <- function(fit) list(beta = as.numeric(fit$beta), se = as.numeric(fit$se), tau2 = as.numeric(fit$tau2),
  rho = as.numeric(fit$rho), sigma2 = as.numeric(fit$sigma2), loglik = as.numeric(logLik(fit)), Q = as.numeric(fit$QE), Qp = as.numeric(fit$QEp), G = fit$G)

b <- dat.berkey1998
Vb <- bldiag(lapply(split(b[, c("v1i", "v2i")], b$trial), as.matrix))
berkey <- list()
for (method in c("ML", "REML")) for (struct in c("UN", "CS", "HCS", "DIAG", "ID"))
  berkey[[paste(struct, method)]] <- pin(fit_mv(yi, Vb, mods = ~ outcome - 1, random = ~ outcome | trial, struct = struct, data = b, method = method))
slope <- pin(fit_mv(yi, Vb, mods = ~ outcome + outcome:I(year - 1983) - 1, random = ~ outcome | trial, struct = "UN", data = b, method = "ML"))

# repeated occasions: simulated effects, written out with the result
set.seed(42)
study <- rep(1:14, each = 4); time <- rep(c(1, 2, 3, 5), 14)
tau <- .4; rho <- .7
u <- as.numeric(t(sapply(1:14, function(s) t(chol(tau^2 * rho^abs(outer(c(1, 2, 3, 5), c(1, 2, 3, 5), "-")))) %*% rnorm(4))) |> t())
v <- runif(56, .02, .08); y <- .3 + u + rnorm(56, 0, sqrt(v))
keep <- setdiff(1:56, c(3, 10, 25, 26, 40)); occasions <- data.frame(study, time, position = rep(1:4, 14), v, y)[keep, ]
times <- list()
for (struct in c("AR", "HAR", "CAR", "CS", "UN")) {
  # metafor's AR and HAR count occasions by their position, whatever the time between them
  inner <- switch(struct, CAR = ~ time | study, ~ position | study)
  times[[struct]] <- pin(fit_mv(y, v, random = inner, struct = struct, data = occasions, method = "REML"))
}

# known correlations between groups: a phylogeny of eight species in two clades
R <- matrix(.2, 8, 8); R[1:4, 1:4] <- .6; R[5:8, 5:8] <- .5; diag(R) <- 1
dimnames(R) <- list(letters[1:8], letters[1:8])
species <- rep(letters[1:8], each = 3); paper <- 1:24
sv <- runif(24, .02, .06); sy <- .2 + as.numeric(t(chol(.15 * R)) %*% rnorm(8))[rep(1:8, each = 3)] + rnorm(24, 0, sqrt(sv + .03))
clade <- pin(fit_mv(sy, sv, random = list(~ 1 | species, ~ 1 | paper), R = list(species = R), method = "REML"))

cat(toJSON(list(
  made_by = "Rscript multivariate.R > multivariate.json",
  versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  berkey = list(y = b$yi, V = Vb, outcome = b$outcome, study = b$trial, year = b$year, fits = berkey, slope = slope),
  occasions = list(y = occasions$y, v = occasions$v, time = occasions$time, position = occasions$position, study = occasions$study, fits = times),
  species = list(y = sy, v = sv, species = species, R = R, fit = clade)
), digits = NA, auto_unbox = TRUE, na = "null", null = "null"))
