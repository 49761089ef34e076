"""Bytes to text to tree: encodings, packed layers, tolerant parsing. Nothing here executes what it reads."""
