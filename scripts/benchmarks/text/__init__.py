"""Cost and results of the recipe of configs/train/text.toml."""
