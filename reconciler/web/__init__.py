"""What the loop shows over HTTP: the status page and its data, health, metrics; the webhook that asks for a pass."""
