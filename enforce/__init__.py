"""The acting half: the deny table, the verdict on one attempt, and the milter that gives it."""
