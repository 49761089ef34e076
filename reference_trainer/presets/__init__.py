"""One reference submission per module: `PRESET` holds every number of it."""
