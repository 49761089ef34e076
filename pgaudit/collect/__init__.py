"""Targets to submissions: a folder, a script, a git clone, a pull request on GitHub. Everything is read, nothing is run."""
