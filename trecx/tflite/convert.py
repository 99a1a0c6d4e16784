"""Keras to int8: the whole network with all its exits, in one conversion. Needs TensorFlow.

The only module of trecx that imports TensorFlow, and only when `convert` is called.
"""

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trecx.errors import InputError, ToolMissingError, UnsupportedModelError
from trecx.quiet import quiet_stderr
from trecx.tflite.tidy import exact_concatenations, flat_dense_outputs

INSTALL_HINT = "install it with: pip install 'trecx[train]'"


@dataclass(frozen=True)
class ConvertedModel:
    """An int8 flatbuffer.

    content: the .tflite file; batch 1, int8 input and outputs, weights per channel.
    outputs: tensor names in the flatbuffer, in the order asked for (exits by depth, then final).
        The flatbuffer's own order of outputs may differ.
    """

    content: bytes
    outputs: tuple[str, ...]

    @property
    def exits(self) -> tuple[str, ...]:
        """The exits' output tensors, by depth."""
        return self.outputs[:-1]

    @property
    def final(self) -> str:
        """The final output tensor."""
        return self.outputs[-1]


def convert(
    model, representative: np.ndarray, *, output_order: Sequence[int] | None = None
) -> ConvertedModel:
    """Convert a functional Keras model to int8 by post-training quantisation.

    Args:
        model: functional Keras model with one input, any number of outputs.
        representative: float32 inputs, shape (n, *input_shape), that set the activation ranges.
        output_order: positions in `model.outputs`, exits by depth and the final one last; by
            default the model's own order.

    Raises:
        InputError: representative data of the wrong shape, or not finite.
        UnsupportedModelError: the network has an operator without an int8 form.
        ToolMissingError: TensorFlow is not installed, or Keras runs on another backend.
    """
    tf = _tensorflow()
    representative = _check_representative(model, representative)
    order = list(range(len(model.outputs)) if output_order is None else output_order)
    if sorted(order) != list(range(len(model.outputs))):
        raise InputError(
            f"output_order must name each of {len(model.outputs)} outputs once, got {order}"
        )
    with tempfile.TemporaryDirectory() as folder, _quiet():
        _save(tf, _express_lone_norms(tf.keras, model), order, folder)
        content = _quantise(tf, folder, representative)
        content = flat_dense_outputs(exact_concatenations(content))
        return ConvertedModel(content, _output_tensors(tf, content, len(order)))


def _tensorflow():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _quiet():
            import keras
            import tensorflow
    except ImportError as error:
        raise ToolMissingError(f"conversion needs TensorFlow ({error}); {INSTALL_HINT}") from None
    if keras.backend.backend() != "tensorflow":
        raise ToolMissingError(
            f"conversion needs Keras on TensorFlow, it runs on {keras.backend.backend()}; "
            "save the model and convert it in a process with KERAS_BACKEND=tensorflow"
        )
    return tensorflow


def _check_representative(model, data: np.ndarray) -> np.ndarray:
    data = np.asarray(data, np.float32)
    expected = tuple(model.inputs[0].shape[1:])
    if data.shape[1:] != expected or not len(data):
        raise InputError(
            f"representative data must have shape (n, {', '.join(map(str, expected))}) "
            f"with n >= 1, got {data.shape}"
        )
    if not np.all(np.isfinite(data)):
        raise InputError("representative data must be finite, it holds NaN or infinity")
    return data


def _express_lone_norms(keras, model):
    """Replace batch norms that no convolution can absorb by 1x1 depthwise convolutions.

    The converter folds a batch norm into the layer before it. Behind a ReLU, an addition or a
    pooling it would emit MUL and ADD; the same scale and shift for each channel is a depthwise
    convolution, exactly.
    """
    lone = [
        layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        and len(layer.output.shape) == 4
        and not _foldable(keras, layer)
    ]
    if not lone:
        return model

    class Affine(keras.layers.DepthwiseConv2D):
        def call(self, inputs, training=None, mask=None):  # As a batch norm is called.
            return super().call(inputs)

    def replace(operation):
        if operation.name in lone:
            return Affine(1, name=operation.name)
        return operation.__class__.from_config(operation.get_config())

    copy = keras.models.clone_model(model, clone_function=replace)
    for layer in model.layers:
        if layer.weights:  # An input layer may have got another name.
            weights = _scale_and_shift(layer) if layer.name in lone else layer.get_weights()
            copy.get_layer(layer.name).set_weights(weights)
    return copy


def _foldable(keras, norm) -> bool:
    before = norm.input._keras_history.operation
    linear = getattr(before, "activation", None) is keras.activations.linear
    return linear and len(before._outbound_nodes) == 1


def _scale_and_shift(norm) -> list[np.ndarray]:
    """Kernel (1, 1, channels, 1) and bias (channels,) that compute a batch norm."""
    mean, variance = (np.asarray(v) for v in (norm.moving_mean, norm.moving_variance))
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale = scale * np.asarray(norm.gamma)
    shift = -mean * scale
    if norm.center:
        shift = shift + np.asarray(norm.beta)
    return [scale.reshape(1, 1, -1, 1), shift]


def _save(tf, model, order: list[int], folder: str) -> None:
    """Save with batch 1 and outputs named by position, which the flatbuffer's signature keeps."""
    shape = (1, *model.inputs[0].shape[1:])

    # With a dynamic batch, Flatten would become SHAPE, STRIDED_SLICE, PACK and RESHAPE.
    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="input")], autograph=False)
    def serve(inputs):
        outputs = model(inputs, training=False)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        return {_output_name(n): outputs[position] for n, position in enumerate(order)}

    module = tf.Module()
    module.model_variables = [variable.value for variable in model.variables]
    tf.saved_model.save(module, folder, signatures={"serving_default": serve})


def _quantise(tf, folder: str, representative: np.ndarray) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in representative)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    try:
        return converter.convert()
    except Exception as error:  # The converter raises many types; all mean the same here.
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        raise UnsupportedModelError(
            f"the network cannot be converted to int8: {reason.strip()}"
        ) from error


def _output_tensors(tf, content: bytes, count: int) -> tuple[str, ...]:
    interpreter = tf.lite.Interpreter(
        model_content=content,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
    )
    details = interpreter.get_signature_runner("serving_default").get_output_details()
    return tuple(details[_output_name(n)]["name"] for n in range(count))


def _output_name(position: int) -> str:
    return f"output_{position}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence TensorFlow's remarks, which it writes to stderr from Python and from C++."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    try:
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logger.setLevel(logging.ERROR)
            yield
    finally:
        logger.setLevel(level)
