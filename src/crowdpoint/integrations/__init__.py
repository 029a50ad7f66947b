"""`Points` to and from the values of other libraries: supervision, FiftyOne, pandas and GeoPandas.

A module for each of them, named like it; the library itself is imported when a function needs it.
"""
