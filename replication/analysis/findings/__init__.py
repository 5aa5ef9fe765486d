"""The three findings: one question, what is published, what two bodies of data give, prediction and update.

`question` picks and orients rows, `engines` fits every model to them, `published` reads the printed pools,
`prediction` asks whether the published pool predicts the new samples, `update` joins both, `moderators` splits,
`schools` keeps the school-level evidence apart, `directions` counts signs where only signs are known.
"""
