"""Query and response schemas of the API."""

from pydantic import BaseModel, ConfigDict, Field


class PredictQuery(BaseModel):
    """Query parameters of `/v1/predict`; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="name from `/v1/models`; by default, the first")
    threshold: float | None = Field(
        None,
        ge=0.01,  # lower thresholds return nearly every cell of the map, which takes megabytes
        le=1,
        description="minimum score of a point; by default, the model's own",
    )


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
        description="lower bound of the 90 % interval of the true count; null at other thresholds than the "
        "model's own"
    )
    count_high: int | None = Field(description="upper bound of the interval")
    scale: float = Field(description="finest working scale at which the network saw the image")
    points: list[Point]
    model: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

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
    pixels: int = Field(description="pixels of one image")
    images: int = Field(description="images in one request")


class Models(BaseModel):
    """Served models, the default first, and limits."""

    models: list[Model]
    limits: Accepted


class Health(BaseModel):
    """The server is up and its models are loaded."""

    status: str
