"""Training in plain torch: losses, batches of the drawn world, resumable runs."""
