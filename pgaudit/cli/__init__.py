"""The command line: options in, exit status out. Everything heavy is imported by the command that needs it."""
