"""The core's ports on real services; every library's errors end here."""
