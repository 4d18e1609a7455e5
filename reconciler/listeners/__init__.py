"""Those who hear what the loop does: audit log, log, metrics, notifications, traces."""
