"""Mechanical repairs of submission.json and README.md: what the shipped files state for certain, and nothing that a rule judges."""
