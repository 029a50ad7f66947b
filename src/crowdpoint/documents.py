"""Parse the text of YAML documents, which may come from strangers."""

from typing import Any

import yaml


def parse_yaml(text: str) -> Any:
    """Parse plain values from YAML.

    Raises:
        ValueError: if the text is not YAML, nests too deeply, or has an impossible date or too long a number.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("its lists or mappings are nested too deeply") from error
