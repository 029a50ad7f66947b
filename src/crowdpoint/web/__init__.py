"""Serve models over HTTP, with an API and a web page. Needs the extra `serve`.

Images are read from uploaded bytes only; client input is never used as a path or URL.
"""
