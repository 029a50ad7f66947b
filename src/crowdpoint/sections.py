"""Base class of the sections of a recipe, and reading and validation with readable errors."""

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crowdpoint.documents import parse_yaml
from crowdpoint.errors import ConfigError

Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Immutable section of a configuration. Unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        defer_build=True,  # prediction imports every recipe, and validates none
    )


S = TypeVar("S", bound=Section)


def read_values(path: Path) -> Any:
    """Read plain values from a YAML file, or from a JSON file by its extension.

    Raises:
        ConfigError: naming `path`, if it cannot be read or is not such a file.
    """
    is_json = path.suffix.lower() in (".json", ".geojson")
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if is_json else parse_yaml(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a {'JSON' if is_json else 'YAML'} file: {error}") from error


def validate(kind: type[S], values: Any, source: str) -> S:
    """Validate `values` as a `kind`.

    Raises:
        ConfigError: naming `source` and each invalid value.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        found = error.errors()
        around = {e["loc"][:n] for e in found for n in range(len(e["loc"]))}
        found = [e for e in found if e["type"] != "too_short" or e["loc"] not in around]  # without bad items
        faults = [f"{'.'.join(map(str, e['loc'])) or kind.__name__}: {e['msg']}" for e in found]
        raise ConfigError(f"{source}: invalid configuration: {'; '.join(faults)}") from error
