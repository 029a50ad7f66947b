"""Predict millions of images on one machine or a Ray cluster, with Parquet output.

`Plan` determines the remaining images, `predict_locally` and `predict_on_ray` process them in chunks, and
`Store` writes the results from a single process, so that no image is duplicated or lost.
"""
