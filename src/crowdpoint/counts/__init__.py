"""Counts over time: the values, and where they are kept (CSV, Parquet, a database)."""

from crowdpoint.counts.values import Alert, Count, Crossing, LineCount, Run, Stay, ZoneCount, iso

__all__ = ["Alert", "Count", "Crossing", "LineCount", "Run", "Stay", "ZoneCount", "iso"]
