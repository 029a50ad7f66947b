"""Feature extractors, and the parts that networks share. Needs `crowdpoint[train]`."""
