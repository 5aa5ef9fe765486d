# Makes location_scale.json: Rscript location_scale.R > location_scale.json
suppressMessages({library(metafor); library(jsonlite)})
fit_ls <- function(..., start = NULL) {  # by itself metafor stops on a lower slope of "both ML": it is given a start
  controls <- list(list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15, maxit = 10000), list(optimizer = "nlminb", rel.tol = 1e-12, iter.max = 5000, eval.max = 20000))
  call <- match.call(); call[[1]] <- quote(rma); call$start <- NULL; frame <- parent.frame()
  fits <- lapply(controls, function(control) { if (!is.null(start)) control$alpha.init <- start; call$control <- control; tryCatch(suppressWarnings(eval(call, frame)), error = function(e) NULL) })
  fits <- Filter(Negate(is.null), fits); fits[[which.max(sapply(fits, logLik))]]
}
pin <- function(f) list(beta = as.numeric(f$beta), se = f$se, alpha = as.numeric(f$alpha), se_alpha = f$se.alpha, tau2 = as.numeric(f$tau2), loglik = as.numeric(logLik(f)), Q = f$QE)
d <- dat.bangertdrowns2004; d <- d[!is.na(d$meta) & !is.na(d$grade), ]
d$n100 <- d$ni / 100
fits <- list()
for (m in c("ML", "REML")) {
  fits[[paste("scale", m)]] <- pin(fit_ls(yi, vi, scale = ~ meta, data = d, method = m))
  fits[[paste("both", m)]] <- pin(fit_ls(yi, vi, mods = ~ meta, scale = ~ n100 + meta, data = d, method = m, start = c(-4, -.3, 2)))
  fits[[paste("constant", m)]] <- pin(fit_ls(yi, vi, mods = ~ meta, scale = ~ 1, data = d, method = m))
}
cat(toJSON(list(made_by = "Rscript location_scale.R > location_scale.json", versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  y = d$yi, v = d$vi, meta = d$meta, n100 = d$n100, fits = fits), digits = NA, auto_unbox = TRUE))
