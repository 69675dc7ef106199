"""Studies on several processes: speed, the cost of the engine, and what kills do to the results."""
