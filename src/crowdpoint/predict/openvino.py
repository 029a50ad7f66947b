"""Run models with OpenVINO, and write OpenVINO's files."""

from functools import cache
from pathlib import Path
from typing import Self

from crowdpoint.errors import ModelError
from crowdpoint.points import FloatArray
from crowdpoint.predict.engine import ModelInfo, check_contract, disable_telemetry, thread_count
from crowdpoint.zoo import DeviceName, PrecisionName

with disable_telemetry():
    import openvino
    from openvino import properties


class OpenVinoEngine:
    """A crowdpoint model in OpenVINO, on the CPU, in fp32. Several threads may run it at a time.

    A copy, also one that is pickled, loads the file again.

    Args:
        path: an `.xml` file with its `.bin` file beside it, or an `.onnx` file.
        threads: threads that share the work of one run; every core that this process may use by default.
    """

    device: DeviceName = "cpu"
    precision: PrecisionName = "fp32"

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        path = Path(path)
        self._source = path.absolute(), threads
        self._settings = {
            properties.inference_num_threads: thread_count(threads),
            properties.num_streams: 1,
            # By default it is bf16 or fp16 where the processor has them, and figures change.
            properties.hint.inference_precision: openvino.Type.f32,
            # Pinned threads of several processes would share the first cores and leave the others idle.
            properties.hint.enable_cpu_pinning: False,
        }
        self._model = _read(path)
        self.info = ModelInfo.parse(_read_metadata(self._model), path)
        self._outputs = self.info.method.outputs(self.info.config)
        inputs = [
            (i.any_name, str(i.element_type.to_dtype()), i.partial_shape.rank.get_length())
            for i in self._model.inputs
        ]
        check_contract(path, self.info, inputs, [name for o in self._model.outputs for name in o.names])
        try:
            self._idle = [self._create_request()]
        except RuntimeError as error:
            raise ModelError(f"{path}: OpenVINO cannot run it: {_describe_reason(error)}") from error

    def __reduce__(self) -> tuple[type[Self], tuple[Path, int | None]]:
        return type(self), self._source  # a compiled model cannot be pickled

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        """Compute the outputs by name for images (B, 3, H, W), float32 RGB in [0, 255]."""
        try:
            request = self._idle.pop()
        except IndexError:  # every request is in use by another thread
            request = self._create_request()
        try:
            request.infer({"images": images}, share_inputs=True)
            return {name: request.get_tensor(name).data.copy() for name in self._outputs}
        finally:
            self._idle.append(request)

    def _create_request(self) -> openvino.InferRequest:
        """Compile the network; the result runs one batch at a time, because it has one stream."""
        return _get_core().compile_model(self._model, "CPU", self._settings).create_infer_request()


def convert(onnx_model: bytes, path: Path) -> None:
    """Convert an ONNX model to an OpenVINO file, keeping its metadata and the precision of its weights."""
    model = _get_core().read_model(onnx_model)
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # without a reason
        raise OSError(f"OpenVINO cannot write it, as on a full disk: {_describe_reason(error)}") from error


@cache
def _get_core() -> openvino.Core:
    """Return the Core of this process, which keeps OpenVINO's libraries loaded while threads use them."""
    return openvino.Core()


def _read(path: Path) -> openvino.Model:
    weights = path.with_suffix(".bin")
    if not path.is_file():
        raise ModelError(f"{path}: no such file; expected an .xml or .onnx model")
    if path.suffix == ".xml" and not weights.is_file():
        raise ModelError(f"{weights}: no such file; expected the weights of {path.name}, which lie beside it")
    if path.suffix == ".xml" and b"<net" not in path.read_bytes()[:1024]:  # OpenVINO would try other formats
        raise ModelError(f"{path}: not an OpenVINO model; expected XML with an element <net>")
    try:
        return _get_core().read_model(path)
    except RuntimeError as error:
        raise ModelError(f"{path}: not a model that OpenVINO can load: {_describe_reason(error)}") from error


def _read_metadata(model: openvino.Model) -> dict[str, str]:
    kept = model.get_rt_info()["framework"] if model.has_rt_info("framework") else None
    return {key: value.astype(str) for key, value in kept.items()} if isinstance(kept, dict) else {}


def _describe_reason(error: RuntimeError) -> str:
    """Return the last line of a message; the lines before it name places in OpenVINO's source."""
    return str(error).strip().splitlines()[-1]
