"""`crowdpoint serve`: models over HTTP, with a page for people."""

import ipaddress
import logging
from functools import partial
from typing import Annotated

import typer

from crowdpoint.cli.options import (
    MODEL_HELP,
    EngineOption,
    MaxSideOption,
    ScaleOption,
    SettingsOption,
    ThresholdOption,
)
from crowdpoint.predict.engine import cores
from crowdpoint.web import server
from crowdpoint.web.app import create
from crowdpoint.web.limits import Limits
from crowdpoint.web.pool import Pool
from crowdpoint.web.worker import load_models

_log = logging.getLogger(__name__)


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{MODEL_HELP} Repeat it for several, the first is the default. [default: p2pnet-lite]"
        ),
    ] = None,
    engine: EngineOption = None,
    threshold: ThresholdOption = None,
    set_: SettingsOption = None,
    scale: ScaleOption = "auto",
    max_side: MaxSideOption = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for every network of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Images that are worked on at a time; one more than cores by default. One client never has "
            "all of several.",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="CROWDPOINT_API_KEY",
            show_envvar=True,
            help="Key that clients must send. Prefer the variable: others see a command line.",
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="Host by whose name clients may call the server, repeatable. [default: any]"),
    ] = None,
    max_bytes: Annotated[int, typer.Option(min=1, help="Bytes of one request.")] = 64 << 20,
    max_pixels: Annotated[int, typer.Option(min=1, help="Pixels of one image.")] = 25_000_000,
    max_images: Annotated[int, typer.Option(min=1, help="Images of one request.")] = 32,
    max_requests: Annotated[int, typer.Option(min=1, help="Unfinished requests of all clients.")] = 256,
    max_client_requests: Annotated[
        int | None, typer.Option(min=1, help="Unfinished requests of one address; no limit by default.")
    ] = None,
    worker_memory: Annotated[
        float, typer.Option(min=0.1, help="GB of memory for an image in a worker, beyond the models.")
    ] = 8.0,
    max_connections: Annotated[int, typer.Option(min=1, help="Open connections of all clients.")] = 1024,
    head_seconds: Annotated[float, typer.Option(min=0.1, help="How long a request's head may take.")] = 10.0,
    idle_seconds: Annotated[
        float, typer.Option(min=0.1, help="How long a client may neither send nor take anything.")
    ] = 10.0,
    upload_seconds: Annotated[float, typer.Option(min=1, help="How long an upload may take.")] = 60.0,
    request_seconds: Annotated[
        float, typer.Option(min=0.1, help="How long an uploaded request may wait and be worked on.")
    ] = 300.0,
) -> None:
    """Serve models over HTTP: an API for programs, a page for people."""
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
    threads = max(1, cores() // max(1, workers - 1))  # one client never has the last of several workers
    load = partial(
        load_models,
        model or ["p2pnet-lite"],
        engine=engine,
        threshold=threshold,
        threads=threads,
        scale=scale,
        max_side=max_side,
        overrides=set_ or (),
    )
    pool = Pool(load, workers, limits)
    app = create(pool, scale=scale, api_key=api_key, allowed_hosts=allowed_host or ())
    with pool, server.listen(host, port) as listener:
        where = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        _log.info("serving %s at %s, Ctrl-C ends it", ", ".join(pool.models), where)
        if api_key is None and not _is_loopback(host):
            _log.warning("without --api-key, everybody who reaches this machine can use it")
        server.run(app, listener, limits)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
