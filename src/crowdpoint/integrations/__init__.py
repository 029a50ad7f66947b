"""Convert `Points` to and from supervision, FiftyOne, pandas and GeoPandas, with one module per library."""
