"""The torch side: networks, assignment and losses. Needs `crowdpoint[train]`."""
