"""Record a run with Weights & Biases or MLflow, through the loggers that Lightning has for Fabric."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from crowdpoint import outputs
from crowdpoint.errors import ConfigError, CrowdpointError, requires
from crowdpoint.recipe import Recipe
from crowdpoint.redaction import redact

log = logging.getLogger(__name__)

PROJECT = "crowdpoint"
"""Project of W&B and experiment of MLflow, unless the environment names another."""

RUNS = "trackers.json"
"""File in the folder of a run with the id that each tracker gave to the run."""


class Trackers:
    """Sends the values of a run to the trackers of `run.loggers`.

    The trackers show the recipe and the name of the run's folder `out`. `resume` continues the runs of
    `out/trackers.json`. A tracker that fails after the start is ended with a warning; training continues.

    Raises:
        MissingExtraError: if the package of a tracker is not installed.
        ConfigError: if a tracker cannot be started.
        StorageError: if `out/trackers.json` cannot be written.
    """

    def __init__(self, out: Path, recipe: Recipe, *, resume: bool) -> None:
        self._loggers: dict[str, Any] = {}  # Lightning's, whose package is optional
        if not recipe.run.loggers:
            return
        path = out / RUNS
        ids = _read_ids(path) if resume and path.is_file() else {}
        try:
            for name in recipe.run.loggers:
                self._loggers[name] = _start(name, out, recipe, ids.get(name))
                ids[name] = self._loggers[name].version
            outputs.write(path, json.dumps(ids).encode())
        except CrowdpointError:
            self.close(failed=True)
            raise

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Record the values of a step."""
        for name, logger in list(self._loggers.items()):
            try:
                logger.log_metrics(values, step)
            except Exception as error:  # each package raises its own
                log.warning("%s does not record the run any more: %s", name, redact(str(error)))
                _end(name, self._loggers.pop(name), failed=True)

    def close(self, *, failed: bool) -> None:
        """End the runs."""
        for name, logger in self._loggers.items():
            _end(name, logger, failed=failed)


def _read_ids(path: Path) -> dict[str, str]:
    try:
        return TypeAdapter(dict[str, str]).validate_json(path.read_bytes())
    except ValidationError as error:
        raise ConfigError(f"{path}: damaged; delete it to record the rest as new runs") from error


def _start(name: str, out: Path, recipe: Recipe, run: str | None) -> Any:
    feature = f"run.loggers={name}"
    logger: Any
    try:
        with requires(feature, name):
            if name == "wandb":
                from pytorch_lightning.loggers import WandbLogger

                project = os.environ.get("WANDB_PROJECT", PROJECT)
                logger = WandbLogger(name=out.name, save_dir=out, project=project, id=run)
            else:
                import mlflow
                from pytorch_lightning.loggers import MLFlowLogger

                experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
                uri = mlflow.get_tracking_uri()
                logger = MLFlowLogger(experiment, run_name=out.name, tracking_uri=uri, run_id=run)
        _ = logger.experiment  # which starts it
        if run is None:
            logger.log_hyperparams(recipe.model_dump(mode="json"))
    except CrowdpointError:
        raise
    except Exception as error:  # each package raises its own
        raise ConfigError(f"{feature} cannot be started: {redact(str(error))}") from error
    return logger


def _end(name: str, logger: Any, *, failed: bool) -> None:
    try:
        logger.finalize("failed" if failed else "success")
        if name == "wandb":  # its run would continue in the next training of this process
            logger.experiment.finish(exit_code=int(failed))
    except Exception as error:  # each package raises its own
        log.warning("%s does not end the run: %s", name, redact(str(error)))
