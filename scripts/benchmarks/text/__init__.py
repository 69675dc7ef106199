"""What the recipe of configs/train/text.toml costs, and what it gives."""
