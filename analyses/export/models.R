# Repeats the main models of this package in R, from the exported files beside this script.
# Run it in this folder: Rscript models.R     Needs metafor; metaSEM for the last part.
library(metafor)
effects <- read.csv("metafor_long.csv", stringsAsFactors = FALSE)
results <- data.frame()
note <- function(model, estimate, lower, upper, tau2, k) {
  results <<- rbind(results, data.frame(model, estimate, lower, upper, tau2, k))
}

# 1. The 45 public samples: six pairs, the rows the published analyses use, REML with Knapp-Hartung.
pairs <- list(c("positive", "engagement"), c("negative", "engagement"), c("positive", "achievement"),
              c("negative", "achievement"), c("positive", "negative"), c("engagement", "achievement"))
public <- subset(effects, work == "roorda2011" & diagonal_a_missing == "no" & diagonal_b_missing == "no")
for (pair in pairs) {
  rows <- subset(public, var_a == pair[1] & var_b == pair[2])
  fit <- rma(yi, vi, data = rows, method = "REML", test = "knha")
  note(paste("roorda2011", pair[1], pair[2], sep = "-"), tanh(fit$beta[1]), tanh(fit$ci.lb), tanh(fit$ci.ub),
       fit$tau2, fit$k)
}

# 2. Schools: relations with bullying, cycles within countries, three levels.
schools <- subset(effects, unit == "school" & var_a == "poor_relations" & var_b == "school_bullying")
schools$vi <- 1 / (schools$ni - 3)
fit <- rma.mv(yi, vi, random = ~ 1 | country / effect_id, data = schools)
note("schools-relations-bullying", tanh(fit$beta[1]), tanh(fit$ci.lb), tanh(fit$ci.ub), sum(fit$sigma2), fit$k)

# 3. Two-stage structural equation model on the 45 samples (only where metaSEM is installed).
if (requireNamespace("metaSEM", quietly = TRUE)) {
  stacked <- subset(read.csv("metasem_matrices.csv", stringsAsFactors = FALSE), work == "roorda2011")
  names4 <- c("positive", "negative", "engagement", "achievement")
  stacked <- subset(stacked, variable %in% names4)
  matrices <- lapply(split(stacked, factor(stacked$sample_id, unique(stacked$sample_id))), function(block) {
    m <- as.matrix(block[match(names4, block$variable), names4])
    dimnames(m) <- list(names4, names4)
    m
  })
  n <- stacked$n[!duplicated(stacked$sample_id)]
  stage1 <- metaSEM::tssem1(matrices, n, method = "REM", RE.type = "Diag")
  pair_of <- apply(combn(names4, 2), 2, paste, collapse = "-")
  pooled <- coef(stage1, select = "fixed")
  tau2 <- coef(stage1, select = "random")
  for (i in seq_along(pooled)) note(paste0("stage1-", pair_of[i]), pooled[i], NA, NA, tau2[i], length(n))
  model <- "engagement ~ b31*positive + b32*negative
            achievement ~ b43*engagement
            positive ~~ p21*negative
            positive ~~ 1*positive
            negative ~~ 1*negative"
  stage2 <- metaSEM::tssem2(stage1, RAM = metaSEM::lavaan2RAM(model, obs.variables = names4))
  paths <- summary(stage2)$coefficients
  for (name in rownames(paths)) {
    note(paste0("stage2-", name), paths[name, "Estimate"], paths[name, "lbound"], paths[name, "ubound"], NA, length(n))
  }
}
write.csv(results, "results.csv", row.names = FALSE)
print(results, digits = 5)
