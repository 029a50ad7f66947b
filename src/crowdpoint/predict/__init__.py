"""Predict points: an engine runs the network, and the method decodes its outputs."""

from crowdpoint.predict.predictor import Predictor

__all__ = ["Predictor"]
