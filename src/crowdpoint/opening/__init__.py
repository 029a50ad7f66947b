"""One opened image, whatever it comes from: a file, a URL, an object store, bytes, pixels or a raster.

`open_image` decides once how an input is read. Everything downstream sees an `OpenedImage`: its size, its
place on the map, its pixels at a size, window by window, and a reduced copy.
"""

from crowdpoint.opening.image import ImageSource, OpenedImage, Windows, open_image

__all__ = ["ImageSource", "OpenedImage", "Windows", "open_image"]
