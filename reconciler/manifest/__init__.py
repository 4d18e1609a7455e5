"""YAML files to what they declare; asks nobody, decides nothing."""
