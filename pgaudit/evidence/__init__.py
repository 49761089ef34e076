"""Files to typed facts: claims, logs, README, sizes, scripts and what the engine saw when it walked them."""
