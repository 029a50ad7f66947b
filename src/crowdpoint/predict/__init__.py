"""From pixels to points: engines run a network, decoders read its outputs, the predictor joins them."""

from crowdpoint.predict.predictor import Predictor

__all__ = ["Predictor"]
