"""Open an image from a file, a URL, an object store, bytes, an array or a raster.

`open_image` decides how to read the input and returns an `OpenedImage`, which gives its size, its
georeference, its pixels at any size (window by window) and a thumbnail.
"""

from crowdpoint.opening.image import ImageSource, OpenedImage, Windows, fetch, open_image

__all__ = ["ImageSource", "OpenedImage", "Windows", "fetch", "open_image"]
