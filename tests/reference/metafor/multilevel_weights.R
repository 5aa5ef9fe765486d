# Makes multilevel_weights.json: Rscript multilevel_weights.R > multilevel_weights.json (rma.mv with W, a vector or a matrix)
suppressMessages({library(metafor); library(jsonlite)})
k <- dat.konstantopoulos2011; k$w <- 1 + (seq_len(nrow(k)) %% 3)
a <- dat.assink2016; a$w <- sqrt(1 / a$vi)
b <- dat.berkey1998; b$w <- rep(c(1, 2), 5); b$at <- b$year - 1983
tight <- list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15, maxit = 10000)
of <- function(fit) list(beta = as.numeric(fit$beta), vcov = fit$vb, loglik = as.numeric(logLik(fit)), variances = c(fit$sigma2, fit$tau2, fit$rho))
V <- vcalc(vi, cluster = study, obs = esid, rho = .6, data = a)
VB <- bldiag(lapply(split(b[c("v1i", "v2i")], b$trial), as.matrix))
fits <- list(
  nested = of(rma.mv(yi, vi, W = w, random = ~ 1 | district/school, data = k, control = tight)),
  moderator = of(rma.mv(yi, V, W = w, mods = ~ deltype, random = ~ 1 | study/esid, data = a, control = tight)),
  crossed = of(rma.mv(yi, vi, W = w, random = list(~ 1 | district, ~ 1 | year), data = k, control = tight)),
  outcomes = of(rma.mv(yi, VB, W = w, mods = ~ 0 + outcome, random = ~ outcome | trial, struct = "UN", data = b, control = tight)))
robust <- robust(rma.mv(yi, vi, W = w, random = ~ 1 | district/school, data = k, control = tight), cluster = district)
fits$robust <- list(beta = as.numeric(robust$beta), vcov = robust$vb)
n <- nrow(k); pairs <- sqrt(outer(k$w, k$w))
block <- .4 * pairs * outer(k$district, k$district, "=="); diag(block) <- k$w
full <- pairs * .9^abs(outer(1:n, 1:n, "-"))
blocks <- rma.mv(yi, vi, W = block, random = ~ 1 | district/school, data = k, control = tight)
fits$block <- of(blocks)
fits$full <- of(rma.mv(yi, vi, W = full, mods = ~ year, random = ~ 1 | district/school, data = k, control = tight))
robust <- robust(blocks, cluster = district)
fits$robust_block <- list(beta = as.numeric(robust$beta), vcov = robust$vb)
cat(toJSON(list(made_by = "Rscript multilevel_weights.R > multilevel_weights.json", versions = paste(R.version.string, "metafor", packageVersion("metafor")),
  data = list(konstantopoulos = k[c("yi", "vi", "district", "school", "year", "w")], assink = a[c("yi", "vi", "study", "esid", "deltype", "w")],
  berkey = cbind(b[c("yi", "trial", "outcome", "w")], V = VB)), fits = fits), digits = NA, dataframe = "columns"))
