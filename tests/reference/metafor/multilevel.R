# Makes multilevel.json: Rscript multilevel.R > multilevel.json
# The default optimiser's answer is refined by BFGS. `sets` are the data as used, `fits` the results by label.
suppressMessages({library(metafor); library(clubSandwich); library(jsonlite)})
options(digits = 17)

described <- function(fit, cluster = NULL, full = FALSE) {
  b <- fit$beta[, 1]
  out <- list(beta = unname(b), se = fit$se, sigma2 = fit$sigma2, loglik = as.numeric(logLik(fit)), QE = fit$QE,
    QE_p = fit$QEp, QM = fit$QM, QM_p = fit$QMp)
  if (!is.null(cluster)) {
    out$robust <- lapply(setNames(nm = c("CR0", "CR1", "CR1p", "CR1S", "CR2")), function(kind) {
      ct <- coef_test(fit, vcov = kind, cluster = cluster)
      list(se = ct$SE, df = ct$df_Satt, p = ct$p_Satt)
    })
    if (length(b) > 1) {
      joint <- function(C, kind = "CR2") {
        w <- try(Wald_test(fit, constraints = C, vcov = kind, cluster = cluster, test = "HTZ"), silent = TRUE)
        if (inherits(w, "try-error")) NULL else list(F = w$Fstat, df = w$df_denom, p = w$p_val)
      }
      out$wald <- list(moderators = joint(constrain_zero(2:length(b))), all = joint(constrain_zero(seq_along(b))),
        all_CR1 = joint(constrain_zero(seq_along(b)), "CR1"))
    }
  }
  if (full) {
    out$profile <- lapply(seq_along(fit$sigma2), function(j) {
      ends <- try(confint(fit, sigma2 = j, control = list(tol = 1e-13))$random[1, ], silent = TRUE)
      if (inherits(ends, "try-error")) NULL else unname(ends)
    })
    out$ranef <- lapply(unname(ranef(fit)), function(d) list(estimate = d$intrcpt, se = d$se))
    p <- predict(fit)
    if (fit$int.only) {
      out$rowsum <- as.numeric(weights(fit, type = "rowsum"))
      out$prediction <- c(p$pred, p$se, p$ci.lb, p$ci.ub, p$pi.lb, p$pi.ub)
    }
    W <- solve(fit$V); X <- model.matrix(fit)
    P <- W - W %*% X %*% solve(t(X) %*% W %*% X) %*% t(X) %*% W
    out$I2 <- 100 * fit$sigma2 / (sum(fit$sigma2) + (fit$k - fit$p) / sum(diag(P)))
  }
  out
}
run <- function(d, V, random, mods = ~ 1, method = "REML", ...) {
  fit <- function(control) suppressWarnings(rma.mv(yi, V, mods = mods, random = random, data = d, method = method, control = control))
  tried <- Filter(function(x) !inherits(x, "try-error"), lapply(list(list(rel.tol = 1e-12), list(), list(optimizer = "bobyqa")), function(control) try(fit(control), silent = TRUE)))
  if (length(tried) == 0) { message("no fit: ", geterrmessage()); return(NULL) }
  first <- tried[[which.max(sapply(tried, logLik))]]
  start <- pmax(first$sigma2, 1e-6 * sum(first$sigma2))
  fine <- try(fit(list(sigma2.init = start, optimizer = "optim", optmethod = "BFGS", reltol = 1e-16, maxit = 1000)), silent = TRUE)
  best <- if (inherits(fine, "try-error") || logLik(fine) < logLik(first)) first else fine
  described(best, ...)
}

sets <- list(); fits <- list()
d <- with(dat.konstantopoulos2011, data.frame(yi = as.numeric(yi), vi = vi, district, school, year))
sets$konstantopoulos <- d
fits$konstantopoulos_reml <- run(d, d$vi, ~ 1 | district/school, cluster = d$district, full = TRUE)
fits$konstantopoulos_ml <- run(d, d$vi, ~ 1 | district/school, method = "ML", full = TRUE)
fits$konstantopoulos_year <- run(d, d$vi, ~ 1 | district/school, ~ I(year - 1990), cluster = d$district, full = TRUE)
fits$konstantopoulos_crossed <- run(d, d$vi, list(~ 1 | district, ~ 1 | year, ~ 1 | school), full = FALSE)
d$row <- seq_len(nrow(d)); sets$konstantopoulos$row <- d$row
fits$konstantopoulos_crossed <- run(d, d$vi, list(~ 1 | district, ~ 1 | year, ~ 1 | row), full = TRUE)

d <- with(dat.assink2016, data.frame(yi = as.numeric(yi), vi, study, esid, year, pubstatus, overt = as.numeric(deltype == "overt"), covert = as.numeric(deltype == "covert")))
sets$assink <- d
V <- vcalc(vi, cluster = study, obs = esid, rho = 0.6, data = d)
fits$assink_diagonal <- run(d, d$vi, ~ 1 | study/esid, cluster = d$study, full = TRUE)
fits$assink_che <- run(d, V, ~ 1 | study/esid, cluster = d$study, full = TRUE)
fits$assink_che_moderators <- run(d, V, ~ 1 | study/esid, ~ overt + covert + year, cluster = d$study, full = TRUE)
fits$assink_che_ml <- run(d, V, ~ 1 | study/esid, ~ pubstatus, method = "ML", cluster = d$study)
fits$assink_study_only <- run(d, d$vi, ~ 1 | study, cluster = d$study)

d <- dat.berkey1998
V <- vcalc(vi = 1, cluster = author, rvars = c(v1i, v2i), data = d)
sets$berkey <- data.frame(yi = as.numeric(d$yi), vi = diag(V), trial = d$trial, pd = as.numeric(d$outcome == "PD"), year = d$year, v1 = d$v1i, v2 = d$v2i)
d <- transform(sets$berkey)
fits$berkey_trial <- run(d, V, ~ 1 | trial, ~ pd, cluster = d$trial, full = TRUE)
fits$berkey_nested <- run(d, V, ~ 1 | trial/pd, ~ pd, cluster = d$trial)

d <- escalc("ZCOR", ri = ri, ni = ni, data = dat.crede2010)
d <- data.frame(yi = as.numeric(d$yi), vi = as.numeric(d$vi), study = d$studyid, sample = d$sampleid, criterion = as.numeric(factor(d$criterion)), class = as.numeric(factor(d$class)), year = d$year)
d$row <- seq_len(nrow(d)); sets$crede <- d
fits$crede_four <- run(d, d$vi, ~ 1 | study/sample/row, cluster = d$study, full = TRUE)
d <- d[!is.na(d$class), ]; sets$crede_class <- d
fits$crede_crossed <- run(d, d$vi, list(~ 1 | study, ~ 1 | class, ~ 1 | row), full = TRUE)
V <- outer(sqrt(d$vi), sqrt(d$vi)) * (0.5 * outer(d$study, d$study, "==") + 0.5 * diag(nrow(d)))
fits$crede_crossed_che <- run(d, V, list(~ 1 | study, ~ 1 | class, ~ 1 | row), ~ I(year - 1990))

d <- with(dat.knapp2017, data.frame(yi = as.numeric(yi), vi = as.numeric(vi), study, task = as.numeric(factor(task)), difficulty))
d <- d[!is.na(d$yi), ]; d$row <- seq_len(nrow(d)); sets$knapp <- d
fits$knapp_crossed <- run(d, d$vi, list(~ 1 | study, ~ 1 | task, ~ 1 | row), full = TRUE)
fits$knapp_difficulty <- run(d[!is.na(d$difficulty), ], d$vi[!is.na(d$difficulty)], ~ 1 | study/row, ~ difficulty, cluster = d$study[!is.na(d$difficulty)])

# A two-level model by rma, made robust
r <- rma(yi, vi, mods = ~ overt, data = sets$assink, control = list(threshold = 1e-14, maxiter = 1000))
fits$assink_two_level <- list(beta = unname(r$beta[, 1]), tau2 = r$tau2, robust = described(r, sets$assink$study)$robust,
  wald = described(r, sets$assink$study)$wald)

versions <- list(R = R.version.string, metafor = as.character(packageVersion("metafor")), clubSandwich = as.character(packageVersion("clubSandwich")), metadat = as.character(packageVersion("metadat")))
cat(toJSON(list(about = "Made by multilevel.R; data sets from metadat", versions = versions, sets = sets, fits = fits), digits = NA, dataframe = "columns", auto_unbox = TRUE, na = "null"))
