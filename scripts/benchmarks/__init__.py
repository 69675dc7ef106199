"""Measurements of rnnjax itself: its speed, and the error rates of its doctor and of its judge."""
