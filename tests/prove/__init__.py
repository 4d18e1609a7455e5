"""Random crashes, faults, rivals and people against the protocol, to prove that no key is ever lost."""
