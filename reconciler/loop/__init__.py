"""The same stages as plan and apply, again and again: when, of whom, and what is remembered."""
