"""The reference trainer: not written yet. This package reserves its name and holds nothing."""
