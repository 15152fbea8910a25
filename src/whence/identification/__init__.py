"""From a graph and a query to an estimand, or to the reason there is none."""
