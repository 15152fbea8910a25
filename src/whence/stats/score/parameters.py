"""What the cards of several scores share."""

from __future__ import annotations

from whence.core.card import Parameter

PENALTY = Parameter("penalty", "float", 1.0, "multiplies log(n) / 2 per free number of the model; 1 is BIC", low=0.0)
GAMMA = Parameter("gamma", "float", 0.5, "adds 2 gamma log(d) to the price of an arrow, for d columns; 0 likes all "
                  "graphs equally", low=0.0)
NO_GAMMA = Parameter(GAMMA.name, GAMMA.kind, 0.0, GAMMA.meaning, low=0.0)
INDEPENDENT_ROWS = "Rows are independent."
SCHWARZ = "Schwarz, G. (1978). Estimating the dimension of a model. Annals of Statistics 6:461-464."
