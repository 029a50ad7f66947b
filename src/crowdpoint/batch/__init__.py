"""Predictions for millions of images, on one machine or a Ray cluster, as Parquet files.

`Plan` finds what is still to be done, `predict_locally` and `predict_on_ray` do it in chunks, and `Store`
keeps what is finished: one process writes, so that no image is doubled and none is lost.
"""
