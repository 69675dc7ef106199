"""rnnjax: recurrent networks as pure functions, trained many seeds at a time, judged with intervals."""

__version__ = "0.2.0"
