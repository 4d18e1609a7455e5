"""A stand-in for the Pinata API over real HTTP, and a real OpenBao beside it; no code of the product."""
