"""Training: batches of crops, the loop, checkpoints. Needs `crowdpoint[train]`."""
