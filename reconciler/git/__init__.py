"""A ref of a Git repository as a source of manifests, by the program git."""
