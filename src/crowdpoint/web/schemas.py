"""The queries and the JSON of the API, for its OpenAPI description."""

from pydantic import BaseModel, ConfigDict, Field


class PredictQuery(BaseModel):
    """What the query of `/v1/predict` may say; a misspelt name is to be told, not passed over."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="a name from `/v1/models`; the first by default")
    threshold: float | None = Field(
        None,
        ge=0.01,  # below it nearly every cell of a model's map is a candidate: megabytes of nothing
        le=1,
        description="least score of a point; the model's own by default",
    )


class Point(BaseModel):
    """One object that was found."""

    x: float = Field(description="pixels to the right of the upright picture's left edge")
    y: float = Field(description="pixels below its top edge")
    score: float = Field(ge=0, le=1, description="what the threshold is compared with")
    box_width: float | None = Field(None, description="width of the head, of models that predict it")
    box_height: float | None = Field(None, description="height of the head")


class Record(BaseModel):
    """What was found on one image: the same object as a line of `crowdpoint predict --json`."""

    image: str = Field(description="the name of the uploaded file")
    width: int
    height: int
    count: int = Field(description="the number of points")
    count_low: int | None = Field(
        description="the lower end of an interval that holds the true count in nine of ten photos; null at "
        "another threshold than the model's own"
    )
    count_high: int | None = Field(description="its upper end")
    points: list[Point]
    model: str


class Problem(BaseModel):
    """A failure (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


class ImageProblem(Problem):
    """The failure of one image among several."""

    image: str = Field(description="the name of the uploaded file")


class Predictions(BaseModel):
    """An answer for each image, in the order of the upload."""

    results: list[Record | ImageProblem]


class Model(BaseModel):
    """A model that is served."""

    name: str
    method: str
    threshold: float = Field(description="the least score of a point unless the request says another")
    training_data: str
    parameters: int | None


class Accepted(BaseModel):
    """What the server accepts."""

    request_bytes: int = Field(description="of all images of a request together")
    pixels: int = Field(description="of one image")
    images: int = Field(description="in one request")


class Models(BaseModel):
    """The models that are served; the first is the default."""

    models: list[Model]
    limits: Accepted


class Health(BaseModel):
    """The server is up and its models are loaded."""

    status: str
