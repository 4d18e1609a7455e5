"""GitOps for Pinata Inference: manifests in Git, planned, guarded and applied, for one account or thousands."""
