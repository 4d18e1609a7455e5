"""The lifecycle of one account's inference key: facts, decisions and steps; knows no library and no environment."""
