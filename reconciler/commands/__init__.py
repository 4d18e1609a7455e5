"""One module a command: its options, and calls to the stages; nothing is decided here."""
