"""The `kdbts` command, one file per subcommand."""
