"""`crowdpoint serve`: models over HTTP, with a page for people."""

import ipaddress
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from crowdpoint.cli.options import MODEL_HELP, EngineOption, MaxSideOption, ScaleOption, working_scale
from crowdpoint.errors import ConfigError, requires

if TYPE_CHECKING:
    from crowdpoint.predict import Predictor
    from crowdpoint.predict.predictor import Scale
    from crowdpoint.zoo import EngineName


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{MODEL_HELP} Repeat it for several, the first is the default. [default: p2pnet-lite]"
        ),
    ] = None,
    engine: EngineOption = None,
    scale: ScaleOption = "auto",
    max_side: MaxSideOption = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for every network of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Images that are worked on at a time; as many as cores by default."),
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
    with requires("serving", "serve"):
        from crowdpoint.web import server
        from crowdpoint.web.app import create
    from crowdpoint.predict.engine import cores
    from crowdpoint.web.limits import Limits
    from crowdpoint.web.pool import Pool

    limits = Limits(
        request_bytes=max_bytes,
        pixels=max_pixels,
        images=max_images,
        requests=max_requests,
        client_requests=max_client_requests,
        connections=max_connections,
        head_seconds=head_seconds,
        idle_seconds=idle_seconds,
        upload_seconds=upload_seconds,
        request_seconds=request_seconds,
    )
    workers = workers or cores()
    threads = max(1, cores() // workers)
    load = partial(_load, model or ["p2pnet-lite"], engine, threads, working_scale(scale), max_side)
    pool = Pool(load, workers, limits)
    app = create(pool, api_key=api_key, allowed_hosts=allowed_host or ())
    with pool, server.listen(host, port) as listener:
        where = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        typer.echo(f"crowdpoint: serving {', '.join(pool.models)} at {where}, Ctrl-C ends it", err=True)
        if api_key is None and not _is_loopback(host):
            typer.echo(
                "crowdpoint: without --api-key, everybody who reaches this machine can use it", err=True
            )
        server.run(app, listener, limits)


def _load(
    models: list[str], engine: "EngineName | None", threads: int, scale: "Scale", max_side: int | None
) -> "dict[str, Predictor]":
    """The models by their names; runs in each process of the server."""
    from crowdpoint.predict import Predictor

    predictors: dict[str, Predictor] = {}
    for model in models:
        predictor = Predictor.load(model, engine=engine, threads=threads, scale=scale, max_side=max_side)
        name = predictor.info.name
        if name in predictors:
            raise ConfigError(
                f"--model {model}: a model with the name {name} is served already; serve one of them"
            )
        predictors[name] = predictor
    return predictors


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
