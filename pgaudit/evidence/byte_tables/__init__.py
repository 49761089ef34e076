"""Byte tables: a script's own code for counting a token's bytes, computed on a small vocabulary of our own."""
