"""Probes of networks on series: closed-loop forecasts, sensitivity to inputs, mixing across a batch."""
