"""Counts over time: the values, and where they are kept (CSV, Parquet, a database)."""

from crowdpoint.counts.values import Alert, Count, Run, ZoneCount, iso

__all__ = ["Alert", "Count", "Run", "ZoneCount", "iso"]
