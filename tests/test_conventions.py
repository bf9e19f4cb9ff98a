"""The conventions: entries and converted layers against the frameworks themselves.

Each framework runs as a function of its own arrays, settings and batch. What it returns
must not deviate from what is expected by more than 1e-6, relative to the larger of 1
and the largest magnitude, in double precision unless a test says otherwise.
"""

import copy
import inspect
import os
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import conventions
from bn import BatchNorm, ClosedFormBatchNorm
from conformance import deviation
from conventions import CONVENTIONS

os.environ["KERAS_BACKEND"] = "torch"  # TensorFlow is not needed
os.environ["JAX_PLATFORMS"] = "cpu"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what they import in turn
    import jax
    import keras
    import onnx
    import onnxruntime
    from flax import linen, nnx
    from onnx.reference import ReferenceEvaluator

jax.config.update("jax_enable_x64", True)
pytestmark = pytest.mark.filterwarnings("ignore")  # theirs are not ours to mend

EQUAL = 1e-6
SHAPES = {2: (16, 3), 3: (8, 3, 5), 4: (4, 3, 5, 6), 5: (4, 3, 2, 3, 4)}
ALL_DIMS = pytest.mark.parametrize("num_dims", SHAPES)
FOUR = np.array([[1.0], [7.0], [9.0], [15.0]])  # mean 8, variances 25 and 100/3


def batch(num_dims, seed=1):
    """A batch with the channels on axis 1, mean 2 and standard deviation 3."""
    x = np.random.default_rng(seed).normal(2, 3, SHAPES[num_dims])
    return torch.from_numpy(x)


def arrays(framework, missing=()):
    """Random parameters, statistics and settings, by a framework's names."""
    rng = np.random.default_rng(0)
    values = {name: rng.uniform(0.5, 2, 3) for name in CONVENTIONS[framework].names}
    values |= {name: None for name in missing}
    return {**values, "momentum": 0.8, "epsilon": 0.02}


def keras_layer(gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis=-1):
    layer = keras.layers.BatchNormalization(
        axis=axis,
        momentum=momentum,
        epsilon=epsilon,
        center=beta is not None,
        scale=gamma is not None,
        dtype=str(moving_mean.dtype),
    )

    def run(x, training):
        if not layer.built:
            layer.build(x.shape)
            weights = gamma, beta, moving_mean, moving_variance
            layer.set_weights([w for w in weights if w is not None])
        y = layer(x.numpy(), training=training)
        return y.detach(), *layer.get_weights()[-2:]

    return run


def linen_layer(scale, bias, mean, var, momentum, epsilon):
    layer = linen.BatchNorm(
        momentum=momentum,
        epsilon=epsilon,
        use_scale=scale is not None,
        use_bias=bias is not None,
        param_dtype=mean.dtype,
    )
    parameters = {"scale": scale, "bias": bias}
    parameters = {name: a for name, a in parameters.items() if a is not None}
    state = {"params": parameters, "batch_stats": {"mean": mean, "var": var}}

    def run(x, training):
        y, changed = layer.apply(
            state,
            x.numpy(),
            use_running_average=not training,
            mutable=["batch_stats"],
        )
        state.update(changed)
        return y, *(state["batch_stats"][name] for name in ("mean", "var"))

    return run


def nnx_layer(scale, bias, mean, var, momentum, epsilon):
    layer = nnx.BatchNorm(
        len(mean),
        momentum=momentum,
        epsilon=epsilon,
        use_scale=scale is not None,
        use_bias=bias is not None,
        rngs=nnx.Rngs(0),
    )
    given = {"scale": scale, "bias": bias, "mean": mean, "var": var}
    for name, array in given.items():
        if array is not None:
            setattr(layer, name, type(getattr(layer, name))(jax.numpy.asarray(array)))

    def run(x, training):
        layer.train() if training else layer.eval()
        return layer(x.numpy()), layer.mean[...], layer.var[...]

    return run


def onnx_model(training, num_dims, dtype, **attributes):
    """A model of one BatchNormalization, whose inputs are all its arrays."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    inputs = ["X", *CONVENTIONS["ONNX"].names]
    outputs = ["Y", "running_mean", "running_var"][: 3 if training else 1]
    node = onnx.helper.make_node(
        "BatchNormalization",
        inputs,
        outputs,
        training_mode=int(training),
        **attributes,
    )
    shapes = {"X": [None] * num_dims, "Y": [None] * num_dims}
    graph = onnx.helper.make_graph(
        [node],
        "batch_norm",
        *(
            [
                onnx.helper.make_tensor_value_info(name, kind, shapes.get(name, [3]))
                for name in names
            ]
            for names in (inputs, outputs)
        ),
    )
    opset = onnx.helper.make_opsetid("", 15)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model)
    return model


def onnx_reference(model):
    return lambda inputs: ReferenceEvaluator(model).run(None, inputs)


def onnx_runtime(model):
    if not isinstance(model, (str, bytes)):
        model = model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"]
    )
    return lambda inputs: session.run(None, inputs)


def onnx_layer(scale, B, input_mean, input_var, momentum, epsilon, run=onnx_reference):
    values = scale, B, input_mean, input_var
    inputs = dict(zip(CONVENTIONS["ONNX"].names, values, strict=True))

    def step(x, training):
        model = onnx_model(
            training, x.ndim, x.numpy().dtype, momentum=momentum, epsilon=epsilon
        )
        y, *statistics = run(model)({"X": x.numpy(), **inputs})
        if training:
            inputs["input_mean"], inputs["input_var"] = statistics
        return y, inputs["input_mean"], inputs["input_var"]

    return step


def runtime_layer(**values):
    return onnx_layer(**values, run=onnx_runtime)


LAYERS = {
    "Keras": ("Keras", keras_layer),
    "linen": ("Flax", linen_layer),
    "nnx": ("Flax", nnx_layer),
    "ONNX": ("ONNX", onnx_layer),
    "onnxruntime": ("ONNX", runtime_layer),
}
EVERY_LAYER = pytest.mark.parametrize("name", LAYERS)


def converted(framework, values, num_dims):
    """Our layer, of a framework's arrays and settings."""
    return getattr(conventions, f"from_{framework.lower()}")(
        **values, num_dims=num_dims
    )


def taken_back(framework, layer):
    return getattr(conventions, f"to_{framework.lower()}")(layer)


def moved(run, framework, x, training):
    """What a framework's layer makes of `x`, whose channels are on axis 1."""
    axis = CONVENTIONS[framework].axis
    y, mean, var = run(x.movedim(1, axis).contiguous(), training)
    y, mean, var = (torch.from_numpy(np.array(a)) for a in (y, mean, var))
    return y.movedim(axis, 1), mean, var


def assert_close(ours, theirs):
    assert deviation(ours, theirs) < EQUAL


def values_per_channel(x):
    return x.numel() // x.shape[1]


def biased(x):
    return x.movedim(1, 0).flatten(1).var(1, correction=0)


def random_layer(num_dims, affine=True):
    generator = torch.Generator().manual_seed(0)
    layer = BatchNorm(3, num_dims, eps=0.02, momentum=0.2, affine=affine).double()
    for tensor in layer.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 2, generator=generator)
    return layer


@EVERY_LAYER
@ALL_DIMS
def test_a_prediction_is_the_same(name, num_dims):
    framework, make = LAYERS[name]
    values, x = arrays(framework), batch(num_dims)
    layer = converted(framework, values, num_dims).eval()
    y, _, _ = moved(make(**values), framework, x, training=False)
    assert_close(layer(x), y)


@EVERY_LAYER
@ALL_DIMS
def test_training_steps_are_the_same_but_for_the_variance_that_is_recorded(
    name, num_dims
):
    framework, make = LAYERS[name]
    values = arrays(framework)
    layer, run = converted(framework, values, num_dims), make(**values)
    surplus = torch.zeros(3, dtype=torch.float64)
    for seed in range(3):
        x = batch(num_dims, seed)
        y, mean, var = moved(run, framework, x, training=True)
        assert_close(layer(x), y)
        assert_close(layer.running_mean.flatten(), mean)
        # n/(n - 1) times the biased variance is 1/(n - 1) of it more
        surplus = 0.8 * surplus + 0.2 * biased(x) / (values_per_channel(x) - 1)
        assert_close(layer.running_var.flatten() - surplus, var)
    assert surplus.min() > 1e-3


@EVERY_LAYER
@pytest.mark.parametrize("training", [False, True], ids=["prediction", "training"])
@ALL_DIMS
def test_back_there_our_layer_does_the_same(name, training, num_dims):
    framework, make = LAYERS[name]
    layer, x = random_layer(num_dims), batch(num_dims)
    values = taken_back(framework, layer)
    y, mean, _ = moved(make(**values), framework, x, training)
    assert_close(layer.train(training)(x), y)
    assert_close(layer.running_mean.flatten(), mean)


@pytest.mark.parametrize("framework", ["Keras", "Flax", "ONNX"])
@ALL_DIMS
def test_there_and_back_nothing_changes(framework, num_dims):
    layer = random_layer(num_dims)
    again = converted(framework, taken_back(framework, layer), num_dims)
    assert (again.eps, again.momentum) == (layer.eps, layer.momentum)
    state = layer.state_dict()
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, state[name])
        assert tensor.data_ptr() != state[name].data_ptr()


@EVERY_LAYER
@pytest.mark.parametrize("missing", [(0,), (1,), (0, 1)], ids=str)
@pytest.mark.parametrize("training", [False, True], ids=["prediction", "training"])
def test_a_missing_scale_or_shift_is_1_or_0_and_not_trained(name, missing, training):
    framework, make = LAYERS[name]
    if framework == "ONNX":
        return  # there, both are required
    absent = [CONVENTIONS[framework].names[i] for i in missing]
    values, x = arrays(framework, absent), batch(4)
    layer = converted(framework, values, 4).train(training)
    y, _, _ = moved(make(**values), framework, x, training)
    assert_close(layer(x), y)
    trained = {n for n, p in layer.named_parameters() if p.requires_grad}
    assert trained == {n for i, n in enumerate(("gamma", "beta")) if i not in missing}
    assert layer.affine == (len(missing) < 2)


@pytest.mark.parametrize("framework", ["Keras", "Flax"])
def test_a_layer_that_is_not_affine_has_no_scale_there(framework):
    values = taken_back(framework, random_layer(2, affine=False))
    scale, shift, *_ = CONVENTIONS[framework].names
    assert values[scale] is values[shift] is None
    assert not converted(framework, values, 2).affine


def test_in_onnx_a_layer_that_is_not_affine_has_scale_1_and_shift_0():
    layer, x = random_layer(4, affine=False).eval(), batch(4)
    y, _, _ = onnx_layer(**conventions.to_onnx(layer))(x, False)
    assert_close(layer(x), torch.from_numpy(y))


def test_keras_with_the_channels_on_axis_1_needs_no_move():
    values, x = arrays("Keras"), batch(4)
    y, _, _ = keras_layer(**values, axis=1)(x, False)
    assert_close(conventions.from_keras(**values, num_dims=4).eval()(x), y)


@EVERY_LAYER
def test_in_single_precision_a_prediction_is_the_same(name):
    framework, make = LAYERS[name]
    values = {
        n: np.float32(v) if isinstance(v, np.ndarray) else v
        for n, v in arrays(framework).items()
    }
    layer, x = converted(framework, values, 4).eval(), batch(4).float()
    assert layer.gamma.dtype == torch.float32
    y, _, _ = moved(make(**values), framework, x, training=False)
    assert_close(layer(x), y)


def as_new(name):
    """A layer of a framework with default settings, after one step on the four."""
    x = torch.from_numpy(FOUR)
    if name == "Keras":
        layer = keras.layers.BatchNormalization(dtype="float64")
        layer(FOUR, training=True)
        return layer.get_weights()[-2:]
    if name == "linen":
        layer = linen.BatchNorm(use_running_average=False)
        state = layer.init(jax.random.key(0), FOUR)
        _, state = layer.apply(state, FOUR, mutable=["batch_stats"])
        return [state["batch_stats"][name] for name in ("mean", "var")]
    if name == "nnx":
        layer = nnx.BatchNorm(1, rngs=nnx.Rngs(0))
        layer(FOUR)
        return layer.mean[...], layer.var[...]
    layer = nn.BatchNorm1d(1) if name == "PyTorch" else BatchNorm(1, 2)
    layer.double()(x)
    return layer.running_mean.flatten(), layer.running_var.flatten()


@pytest.mark.parametrize(
    ("name", "framework"),
    [
        ("this book", "this book"),
        ("PyTorch", "PyTorch"),
        ("Keras", "Keras"),
        ("linen", "Flax"),
        ("nnx", "Flax"),
    ],
)
def test_a_new_layer_records_what_its_entry_says(name, framework):
    for theirs, ours in zip(
        as_new(name), CONVENTIONS[framework].record(FOUR), strict=True
    ):
        assert np.asarray(theirs) == pytest.approx(ours, rel=EQUAL)


def defaults(function):
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters}


def schema():
    return onnx.defs.get_schema("BatchNormalization")


def framework_defaults(name):
    """A framework's own momentum, epsilon and axis."""
    if name == "ONNX":
        attributes = schema().attributes
        values = [attributes[n].default_value.f for n in ("momentum", "epsilon")]
        return [float(f"{value:.6g}") for value in values] + [1]  # they are float32
    if name in ("this book", "PyTorch"):
        layer = BatchNorm(3, 4) if name == "this book" else nn.BatchNorm2d(3)
        return [layer.momentum, layer.eps, 1]
    layer = {
        "Keras": keras.layers.BatchNormalization,
        "linen": linen.BatchNorm,
        "nnx": nnx.BatchNorm.__init__,
    }[name]
    return [defaults(layer)[n] for n in ("momentum", "epsilon", "axis")]


@pytest.mark.parametrize("name", [*CONVENTIONS, "linen", "nnx"])
def test_the_defaults_are_the_frameworks_own(name):
    if name == "Flax":
        return  # linen and nnx
    entry = CONVENTIONS["Flax" if name in ("linen", "nnx") else name]
    assert framework_defaults(name) == [entry.momentum, entry.epsilon, entry.axis]


@pytest.mark.parametrize("framework", ["Keras", "Flax", "ONNX"])
def test_the_converters_have_the_same_names_and_defaults(framework):
    entry = CONVENTIONS[framework]
    arguments = defaults(getattr(conventions, f"from_{framework.lower()}"))
    assert list(arguments) == [*entry.names, "momentum", "epsilon", "num_dims"]
    assert (arguments["momentum"], arguments["epsilon"]) == (
        entry.momentum,
        entry.epsilon,
    )
    given = taken_back(framework, BatchNorm(3, 4))
    assert list(given) == list(arguments)[:-1]


def test_new_layers_start_with_1_0_0_1_everywhere():
    start = [np.ones(1), np.zeros(1), np.zeros(1), np.ones(1)]
    layer = keras.layers.BatchNormalization()
    layer.build((None, 1))
    assert [w.name for w in layer.weights] == list(CONVENTIONS["Keras"].names)
    assert layer.get_weights() == start
    variables = linen.BatchNorm(use_running_average=False).init(jax.random.key(0), FOUR)
    named = {**variables["params"], **variables["batch_stats"]}
    assert [named[name] for name in CONVENTIONS["Flax"].names] == start
    layer = nnx.BatchNorm(1, rngs=nnx.Rngs(0))
    assert [getattr(layer, n)[...] for n in CONVENTIONS["Flax"].names] == start
    for layer, name in ((nn.BatchNorm1d(1), "PyTorch"), (BatchNorm(1, 2), "this book")):
        values = [getattr(layer, n).detach().flatten() for n in CONVENTIONS[name].names]
        assert values == start


def test_the_names_of_onnx_are_those_of_the_operator():
    names = [entry.name for entry in schema().inputs]
    assert names == ["X", *CONVENTIONS["ONNX"].names]
    assert schema().since_version == 15


def test_the_modes_are_switched_as_the_chapter_says():
    layer = keras.layers.BatchNormalization(dtype="float64")
    for training, trainable in ((False, True), (None, True), (True, False)):
        layer.trainable = trainable
        layer(FOUR, training=training)
        assert layer.get_weights()[-2:] == [0, 1]
    with pytest.raises(ValueError, match="use_running_average"):
        linen.BatchNorm().init(jax.random.key(0), FOUR)
    assert schema().attributes["training_mode"].default_value.i == 0


@pytest.fixture(scope="module")
def small_net():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3),
        BatchNorm(3, 4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(3 * 6 * 6, 5),
        ClosedFormBatchNorm(5, 2),
    )
    for _ in range(5):
        net(1 + 2 * torch.randn(16, 1, 8, 8))
    return net.eval()


def exported(net, x):
    return torch.onnx.export(net, (x,), dynamo=True, verbose=False)


@pytest.mark.parametrize("size", [1, 7])
def test_an_exported_net_predicts_the_same_in_onnxruntime(small_net, size):
    net, x = copy.deepcopy(small_net), torch.randn(size, 1, 8, 8)
    program = exported(net, x)
    operators = [node.op_type for node in program.model_proto.graph.node]
    assert operators[1:5] == ["Sub", "Div", "Mul", "Add"]  # as the chapter says
    (y,) = onnx_runtime(program.model_proto)(
        {program.model.graph.inputs[0].name: x.numpy()}
    )
    assert_close(net(x), torch.from_numpy(y))


def test_the_operator_of_an_exported_torch_layer_becomes_ours():
    torch.manual_seed(0)
    theirs = nn.BatchNorm2d(3, eps=0.02, momentum=0.2)
    for _ in range(5):
        theirs(torch.randn(16, 3, 4, 4))
    x = batch(4).float()
    graph = exported(theirs.eval(), x).model_proto.graph
    (node,) = graph.node
    assert node.op_type == "BatchNormalization"
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    attributes = {a.name: a.f for a in node.attribute}
    layer = conventions.from_onnx(
        *(stored[name] for name in node.input[1:]),
        momentum=attributes["momentum"],
        epsilon=attributes["epsilon"],
    )
    assert_close(layer.eval()(x), theirs(x))
    assert layer.momentum == pytest.approx(theirs.momentum)


THREE = np.ones(3)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"gamma": np.ones(2)}, ValueError, r"gamma has \(2,\)"),
        ({"moving_mean": np.ones((1, 3))}, ValueError, "one shape"),
        ({"moving_mean": np.ones(())}, ValueError, "one shape"),
        ({"moving_variance": np.array([1.0, -1.0, 1.0])}, ValueError, "negative"),
        ({"moving_variance": None}, TypeError, "moving_variance .* None"),
        ({"beta": np.ones(3, int)}, TypeError, "beta .* int64"),
        ({"momentum": 1.5}, ValueError, "momentum .* got 1.5"),
        ({"momentum": None}, TypeError, "None"),
        ({"epsilon": -1.0}, ValueError, "eps"),
        ({"num_dims": 6}, ValueError, "num_dims"),
    ],
)
def test_what_makes_no_layer_is_refused(changed, error, message):
    good = dict.fromkeys(CONVENTIONS["Keras"].names, THREE)
    with pytest.raises(error, match=message):
        conventions.from_keras(**{**good, **changed})


@pytest.mark.parametrize("framework", ["Keras", "Flax", "ONNX"])
@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (nn.BatchNorm1d(3), TypeError, "BatchNorm1d"),
        (BatchNorm(3, 2, momentum=None), ValueError, "cumulative"),
        (BatchNorm(3, 2, track_running_stats=False), ValueError, "statistics"),
    ],
)
def test_what_other_frameworks_do_not_have_is_refused(framework, layer, error, message):
    with pytest.raises(error, match=message):
        taken_back(framework, layer)


def test_a_closed_form_layer_is_taken_too():
    given = conventions.to_flax(ClosedFormBatchNorm(3, num_dims=4))
    assert given["var"].tolist() == [1, 1, 1]


def test_momentum_is_turned_around_without_a_rounding_error():
    turned = [
        conventions.CONVENTIONS["Keras"].newest(m) for m in (0.99, 0.9, 0.1, 1, 0)
    ]
    assert turned == [0.01, 0.1, 0.9, 0, 1]
