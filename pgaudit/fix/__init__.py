"""Mechanical repairs of submission.json: what the shipped files state for certain, and nothing that a rule judges."""
