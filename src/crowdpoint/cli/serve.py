"""`crowdpoint serve`: serve models over HTTP, with a web page."""

import ipaddress
import logging
import os
from functools import partial
from typing import Annotated, Unpack

import typer

from crowdpoint.cli import options
from crowdpoint.predict.engine import cores
from crowdpoint.web import server
from crowdpoint.web.app import create
from crowdpoint.web.limits import Limits
from crowdpoint.web.pool import Pool
from crowdpoint.web.worker import load_models
from crowdpoint.zoo import DEFAULT_MODEL

_log = logging.getLogger(__name__)

_API_KEY = "CROWDPOINT_API_KEY"

_LIMITS = Limits()


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{options.MODEL_HELP} Repeatable; the first is the default of requests. "
            f"[default: {DEFAULT_MODEL}]"
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for all networks of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of images processed at a time. A client never occupies the last of several workers. "
            "[default: cores + 1]",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar=_API_KEY,
            show_envvar=True,
            help="Key that clients must send. Prefer the variable: other users can see command lines.",
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="Host name or address of the server in requests; repeatable. [default: any]"),
    ] = None,
    max_bytes: Annotated[
        int, typer.Option(min=1, help="Maximum bytes of a request.")
    ] = _LIMITS.request_bytes,
    max_pixels: Annotated[int, typer.Option(min=1, help="Maximum pixels of an image.")] = _LIMITS.pixels,
    max_images: Annotated[int, typer.Option(min=1, help="Maximum images of a request.")] = _LIMITS.images,
    max_requests: Annotated[
        int, typer.Option(min=1, help="Maximum unfinished requests of all clients.")
    ] = _LIMITS.requests,
    max_client_requests: Annotated[
        int | None,
        typer.Option(min=1, help="Maximum unfinished requests of one address. [default: no limit]"),
    ] = None,
    worker_memory: Annotated[
        float,
        typer.Option(
            min=0.1,
            max=1e6,
            callback=options.require_finite,
            help="Maximum memory of an image in a worker, in GB beyond the models.",
        ),
    ] = _LIMITS.worker_bytes / 1e9,
    max_connections: Annotated[
        int, typer.Option(min=1, help="Maximum open connections of all clients.")
    ] = _LIMITS.connections,
    head_seconds: Annotated[
        float,
        typer.Option(
            min=0.1, callback=options.require_finite, help="Time limit for the headers of a request."
        ),
    ] = _LIMITS.head_seconds,
    idle_seconds: Annotated[
        float,
        typer.Option(
            min=0.1, callback=options.require_finite, help="Time limit for a client without traffic."
        ),
    ] = _LIMITS.idle_seconds,
    upload_seconds: Annotated[
        float, typer.Option(min=1, callback=options.require_finite, help="Time limit for an upload.")
    ] = _LIMITS.upload_seconds,
    request_seconds: Annotated[
        float,
        typer.Option(
            min=0.1,
            callback=options.require_finite,
            help="Time limit for waiting and processing after the upload.",
        ),
    ] = _LIMITS.request_seconds,
    **shared: Unpack[options.Predicting],
) -> None:
    """Serve models over HTTP, as an API and a web page."""
    if api_key is None:
        api_key = os.environ.get(_API_KEY)  # typer ignores an empty variable, which would disable the key
    limits = Limits(
        request_bytes=max_bytes,
        pixels=max_pixels,
        images=max_images,
        requests=max_requests,
        client_requests=max_client_requests,
        worker_bytes=int(worker_memory * 1e9),
        connections=max_connections,
        head_seconds=head_seconds,
        idle_seconds=idle_seconds,
        upload_seconds=upload_seconds,
        request_seconds=request_seconds,
    )
    workers = workers or cores() + 1
    threads = max(1, cores() // max(1, workers - 1))  # a client never occupies the last of several workers
    pool = Pool(partial(load_models, model or [DEFAULT_MODEL], threads=threads, **shared), workers, limits)
    app = create(
        pool,
        scale=shared["scale"],
        max_side=shared["max_side"],
        api_key=api_key,
        allowed_hosts=allowed_host or (),
    )
    with pool, server.listen(host, port) as listener:
        where = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        _log.info("serving %s at %s; stop with Ctrl-C", ", ".join(pool.models), where)
        if api_key is None and not _is_loopback(host):
            _log.warning("without --api-key, everybody who can reach this machine can use the server")
        server.run(app, listener, limits)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
