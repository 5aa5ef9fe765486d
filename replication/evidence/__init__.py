"""From rows to a finding: which rows bear on a question, what each estimator says of them, how sure one can be."""
