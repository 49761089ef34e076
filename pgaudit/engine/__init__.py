"""Program to provenance: a script is walked from its entry point under the effective configuration, without running it.

Values carry labels (which tokens, which scores, which state changes they depend on) and the walk leaves events
(scores, updates, lookups, reports). Rules ask questions about events; they never see syntax.
"""
