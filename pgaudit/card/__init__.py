"""The submission card: what a submission is made of, read from its code under the effective configuration and its logs."""
