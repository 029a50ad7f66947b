"""Query and response schemas of the API."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from crowdpoint.predict.predictor import Scale

Coordinate = Annotated[float, Field(ge=-1e9, le=1e9)]


def _explain_scale(value: object, validate: ValidatorFunctionWrapHandler) -> Scale | None:
    """Report one error, not one for each kind of scale."""
    try:
        scale: Scale | None = validate(value)
    except ValidationError as error:
        raise ValueError(f"expected auto or a factor from 0.05 to 8, found {value!r}") from error
    return scale


class PredictQuery(BaseModel, extra="forbid"):
    """Query parameters of `/v1/predict`; unknown ones are errors."""

    model: str | None = Field(None, description="name from `/v1/models`; by default, the first")
    threshold: float | None = Field(
        None,
        allow_inf_nan=False,
        ge=0.01,  # lower thresholds return nearly every cell of the map, which takes megabytes
        le=1,
        description="minimum score of a point; by default, the model's own",
    )
    scale: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=0.05, le=8)] | None, WrapValidator(_explain_scale)
    ] = Field(
        None,
        description="factor by which the image is resized for the network, or `auto`; default: the server's",
    )


class HeatmapQuery(BaseModel, extra="forbid"):
    """Body of `/v1/heatmap`; unknown members are errors."""

    width: int = Field(ge=1, le=1_000_000, description="of the image, in pixels")
    height: int = Field(ge=1, le=1_000_000)
    points: list[tuple[Coordinate, Coordinate]] = Field(description="x and y of each point, in pixels")


class Heatmap(BaseModel):
    """Density of points in colours, for a layer over the image, dimmed and without its colours."""

    image: str = Field(description="data URL of a WebP file with an alpha channel; stretch it over the image")
    peak: float = Field(description="density of the brightest colour, in `unit`; 0 without points")
    unit: str
    colors: list[str] = Field(description="colours from 0 to `peak`, evenly spaced, as `#rrggbb`")


class Point(BaseModel):
    """A predicted point."""

    x: float = Field(description="pixels from the left edge of the upright image")
    y: float = Field(description="pixels from its top edge")
    score: float = Field(ge=0, le=1, description="confidence, compared with the threshold")
    box_width: float | None = Field(None, description="width of the head in pixels, if the model predicts it")
    box_height: float | None = Field(None, description="height of the head in pixels")


class Record(BaseModel):
    """Prediction of one image, as in a line of `crowdpoint predict --json`."""

    image: str = Field(description="name of the uploaded file")
    width: int
    height: int
    count: int = Field(description="number of points")
    count_low: int | None = Field(
        description="lower bound of the 90 % interval of the true count, by its points from the "
        "model's own threshold on; null at a higher threshold or another scale, or if the model is not "
        "calibrated"
    )
    count_high: int | None = Field(description="upper bound of the interval")
    warning: str | None = Field(
        description="why the count may be far off and what to do, if heads are of unusual sizes"
    )
    scale: float = Field(description="finest working scale at which the network saw the image")
    points: list[Point]
    model: str


class Problem(BaseModel, extra="allow"):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class ImageProblem(Problem):
    """The error of one image among several."""

    image: str = Field(description="name of the uploaded file")


class Predictions(BaseModel):
    """Results of all images, in the order of the upload."""

    results: list[Record | ImageProblem]


class Model(BaseModel):
    """A served model."""

    name: str
    method: str
    threshold: float = Field(description="default minimum score of a point")
    training_data: str
    parameters: int | None


class Accepted(BaseModel):
    """Limits of the server."""

    request_bytes: int = Field(description="bytes of all images of a request")
    pixels: int = Field(description="pixels of one image, also when a scale has enlarged it")
    images: int = Field(description="images in one request")


class Models(BaseModel):
    """Served models, the default first, and limits."""

    models: list[Model]
    scale: Scale = Field(description="default working scale")
    limits: Accepted


class Health(BaseModel):
    """The server is up and its models are loaded."""

    status: str
