# Recomputes the random-effects pools of this bundle with metafor, from the rows alone, and prints the differences.
# Run from the bundle's folder: Rscript check.R

library(metafor)

effects <- read.csv("data/effects.csv", stringsAsFactors = FALSE)
pools <- read.csv("pools.csv", stringsAsFactors = FALSE)
used <- read.csv("pool_rows.csv", stringsAsFactors = FALSE)

recompute <- function(pool) {
  ids <- used$effect_id[used$pool == pool$pool]
  rows <- effects[match(ids, effects$effect_id), ]
  size <- ifelse(is.na(rows$n_effective), rows$n, rows$n_effective)
  fit <- rma(yi = atanh(rows$value), vi = 1 / (size - 3), method = pool$method, test = pool$test)
  c(tanh(fit$beta[1]), tanh(fit$ci.lb), tanh(fit$ci.ub))
}

if (nrow(pools) > 0) {
  theirs <- t(sapply(seq_len(nrow(pools)), function(i) recompute(pools[i, ])))
  ours <- as.matrix(pools[, c("value", "low", "high")])
  difference <- apply(abs(theirs - ours), 1, max)
  print(data.frame(pool = pools$pool, difference = signif(difference, 2)))
  cat("largest difference:", signif(max(difference), 3), "\n")
}
