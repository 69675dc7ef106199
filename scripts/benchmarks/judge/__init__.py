"""How often the judge errs, on seeds drawn at the boundary of a statement."""
