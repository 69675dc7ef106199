"""Probes of teacher-forced prediction: the held-out loss, the loss by position in a window."""
