"""The base of every part of a recipe, and its validation with readable errors."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crowdpoint.errors import ConfigError

Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values do not change once read."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        defer_build=True,  # prediction imports every recipe, and validates none
    )


S = TypeVar("S", bound=Section)


def validated(kind: type[S], values: Any, source: str) -> S:
    """`values` as a `kind`, with pydantic's complaints as one readable ConfigError naming `source`."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        found = error.errors()
        around = {e["loc"][:n] for e in found for n in range(len(e["loc"]))}
        found = [e for e in found if e["type"] != "too_short" or e["loc"] not in around]  # without bad items
        faults = [f"{'.'.join(map(str, e['loc'])) or kind.__name__}: {e['msg']}" for e in found]
        raise ConfigError(f"{source}: invalid configuration: {'; '.join(faults)}") from error
