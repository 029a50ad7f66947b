"""Counts over time, and their storage in CSV files, Parquet files and databases."""

from crowdpoint.counts.values import Alert, Count, Crossing, LineCount, Run, Stay, ZoneCount, format_time

__all__ = ["Alert", "Count", "Crossing", "LineCount", "Run", "Stay", "ZoneCount", "format_time"]
