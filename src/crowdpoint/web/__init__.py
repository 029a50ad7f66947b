"""Serves models over HTTP: an API for programs and a page for people; needs the extra `serve`.

Only the bytes of an upload are read as an image: nothing that a client sends is taken for a path or a URL.
"""
