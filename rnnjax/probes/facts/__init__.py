"""Constants that claims are judged by and that no network determines: facts of a text, of the literature."""
