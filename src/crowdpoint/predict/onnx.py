"""Run ONNX files with ONNX Runtime, the engine of the base install."""

from pathlib import Path
from typing import Self

from crowdpoint.errors import ModelError
from crowdpoint.points import FloatArray
from crowdpoint.predict.engine import ModelInfo, check_contract, disable_telemetry, thread_count
from crowdpoint.zoo import DeviceName, PrecisionName


class OnnxEngine:
    """A crowdpoint ONNX file in ONNX Runtime, on the CPU. Several threads may run it at a time.

    A copy, also one that is pickled, loads the file again.

    Args:
        path: the `.onnx` file.
        threads: threads that share the work of one run; every core that this process may use by default.
    """

    device: DeviceName = "cpu"
    precision: PrecisionName = "fp32"

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        path = Path(path)
        self._source = path.absolute(), threads
        with disable_telemetry():
            import onnxruntime

        if not path.is_file():
            raise ModelError(f"{path}: no such file; expected an ONNX model")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = thread_count(threads)
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.enable_mem_pattern = False  # a third less memory at 4 megapixels, and no slower
        options.log_severity_level = 3
        try:
            # The fallback to other providers prints to stdout, where results are.
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"], enable_fallback=False
            )
        except Exception as error:  # ONNX Runtime's errors have no other common base class
            raise ModelError(f"{path}: not an ONNX model that ONNX Runtime can load: {error}") from error
        try:
            metadata = self._session.get_modelmeta().custom_metadata_map
            self._outputs = [output.name for output in self._session.get_outputs()]
            inputs = [
                (i.name, "float32" if i.type == "tensor(float)" else i.type, len(i.shape))
                for i in self._session.get_inputs()
            ]
        except UnicodeDecodeError as error:
            raise ModelError(f"{path}: not a crowdpoint model: its texts are not UTF-8: {error}") from error
        self.info = ModelInfo.parse(metadata, path)
        check_contract(path, self.info, inputs, self._outputs)

    def __reduce__(self) -> tuple[type[Self], tuple[Path, int | None]]:
        return type(self), self._source  # a session cannot be pickled

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        """Compute the outputs by name for images (B, 3, H, W), float32 RGB in [0, 255]."""
        return dict(zip(self._outputs, self._session.run(None, {"images": images}), strict=True))
