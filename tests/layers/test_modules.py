"""Holds the family of modules: every class of ``torch.nn`` is a layer, or its refusal says what to use."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from layerwise.errors import Invalid, InvalidLayer, InvalidShape
from layerwise.graph.kinds import Kind, make
from layerwise.graph.layer import Layer, qualified_name
from layerwise.graph.ports import Port
from layerwise.layers import classes
from layerwise.layers.base import NeuralKind, Padded
from layerwise.layers.classes import find_class
from layerwise.layers.modules import TorchModule, resolve

VECTOR = Port("float32", (8,))
SERIES = Port("float32", (4, 16))
IMAGE = Port("float32", (4, 16, 16))
VOLUME = Port("float32", (4, 8, 8, 8))
STEPS = Port("float32", (5, 8))
WORDS = Port("int64", (6,), size=20)

ON_VECTORS = (
    *("AlphaDropout", "BatchNorm1d", "CELU", "Dropout", "ELU", "FeatureAlphaDropout", "GELU", "GLU", "Hardshrink"),
    *("Hardsigmoid", "Hardswish", "Hardtanh", "Identity", "LayerNorm", "LeakyReLU", "LogSigmoid", "LogSoftmax"),
    *("Mish", "PReLU", "RMSNorm", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmin"),
    *("Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink"),
)
ON_IMAGES = ("BatchNorm2d", "Dropout2d", "Flatten", "InstanceNorm2d", "Softmax2d", "SyncBatchNorm")
PORTS = {1: SERIES, 2: IMAGE, 3: VOLUME}

Row = tuple[dict[str, Any], tuple[Port, ...]]


def spatial(n: int, port: Port) -> dict[str, Row]:
    """Return the rows of the classes that work over ``n`` dimensions, without the ``1d`` of their names."""
    options: dict[str, dict[str, Any]] = {
        "AdaptiveAvgPool": {"output_size": 2},
        "AdaptiveMaxPool": {"output_size": [2] * n if n > 1 else 2},
        "AvgPool": {"kernel_size": 2},
        "CircularPad": {"padding": 1},
        "ConstantPad": {"padding": 1, "value": 0.5},
        "Conv": {"out_channels": 6, "kernel_size": [3] * n, "padding": "same"},
        "ConvTranspose": {"out_channels": 6, "kernel_size": 3, "stride": 2},
        "LPPool": {"norm_type": 2, "kernel_size": 2},
        "MaxPool": {"kernel_size": 2, "stride": 1},
        "ReflectionPad": {"padding": 1},
        "ReplicationPad": {"padding": [1, 2] * n},
        "ZeroPad": {"padding": 1},
    }
    return {name: (said, (port,)) for name, said in options.items()}


# Every class of torch.nn that is a layer: its options and what it gets. One row a class, no class without a row.
FAMILY: dict[str, Row] = {
    **{name: ({}, (VECTOR,)) for name in ON_VECTORS},
    **{name: ({}, (IMAGE,)) for name in ON_IMAGES},
    **{name: ({}, (SERIES,)) for name in ("Dropout1d", "InstanceNorm1d")},
    **{name: ({}, (VOLUME,)) for name in ("BatchNorm3d", "Dropout3d", "InstanceNorm3d")},
    **{f"{name}{n}d": row for n, port in PORTS.items() for name, row in spatial(n, port).items()},
    "Bilinear": ({"out_features": 3}, (VECTOR, Port("float32", (5,)))),
    "ChannelShuffle": ({"groups": 2}, (IMAGE,)),
    "CosineSimilarity": ({}, (STEPS, STEPS)),
    "CrossMapLRN2d": ({"size": 2}, (IMAGE,)),
    "Embedding": ({"embedding_dim": 3}, (WORDS,)),
    "EmbeddingBag": ({"embedding_dim": 3, "mode": "sum"}, (WORDS,)),
    "Fold": ({"output_size": [4, 4], "kernel_size": 2, "stride": 2}, (Port("float32", (12, 4)),)),
    "FractionalMaxPool2d": ({"kernel_size": 2, "output_size": [5, 5]}, (IMAGE,)),
    "FractionalMaxPool3d": ({"kernel_size": 2, "output_ratio": 0.5}, (VOLUME,)),
    "GRUCell": ({"hidden_size": 3}, (VECTOR,)),
    "GroupNorm": ({"num_groups": 2}, (IMAGE,)),
    "Linear": ({"out_features": 3, "activation": "softmax"}, (STEPS,)),
    "LocalResponseNorm": ({"size": 2}, (IMAGE,)),
    "PairwiseDistance": ({"keepdim": True}, (VECTOR, VECTOR)),
    "PixelShuffle": ({"upscale_factor": 2}, (IMAGE,)),
    "PixelUnshuffle": ({"downscale_factor": 2}, (IMAGE,)),
    "RNNCell": ({"hidden_size": 3, "nonlinearity": "relu"}, (VECTOR,)),
    "Threshold": ({"threshold": 0.5, "value": 0.0}, (VECTOR,)),
    "Transformer": (
        {"nhead": 2, "num_encoder_layers": 1, "num_decoder_layers": 1, "dim_feedforward": 8},
        (STEPS, STEPS),
    ),
    "TransformerDecoderLayer": ({"nhead": 2, "dim_feedforward": 8}, (STEPS, STEPS)),
    "TransformerEncoderLayer": ({"nhead": 2, "dim_feedforward": 8, "activation": "gelu"}, (STEPS,)),
    "Unflatten": ({"dim": 1, "unflattened_size": [2, 4]}, (VECTOR,)),
    "Unfold": ({"kernel_size": 2}, (IMAGE,)),
    "Upsample": ({"scale_factor": 2, "mode": "bilinear"}, (IMAGE,)),
    "UpsamplingBilinear2d": ({"scale_factor": 2}, (IMAGE,)),
    "UpsamplingNearest2d": ({"size": 5}, (IMAGE,)),
}

ELSEWHERE = {"GRU", "LSTM", "RNN"}
"""Layers of the same names that keep lengths: tested with the recurrent ones."""

REFUSED = {
    "AdaptiveLogSoftmaxWithLoss": "answer layer",
    "Container": "block",
    "DataParallel": "train",
    "LSTMCell": "torch.nn.LSTM",
    "MaxUnpool1d": "indices",
    "MaxUnpool2d": "indices",
    "MaxUnpool3d": "indices",
    "Module": "block",
    "ModuleDict": "block",
    "ModuleList": "block",
    "MultiheadAttention": "attention",
    "ParameterDict": "does not run",
    "ParameterList": "does not run",
    "RNNBase": "torch.nn.RNN",
    "RNNCellBase": "torch.nn.RNN",
    "Sequential": "block",
    "TransformerDecoder": "TransformerDecoderLayer",
    "TransformerEncoder": "transformer",
}
"""Classes that are no layer, and a word of the reason. Losses and lazy classes beside them."""


def public() -> list[str]:
    return [name for name, thing in vars(nn).items() if isinstance(thing, type) and issubclass(thing, nn.Module)]


def real(port: Port, rows: int = 2) -> Tensor:
    shape = (rows, *(size or 1 for size in port.shape))
    return torch.randint(0, port.size or 2, shape) if port.dtype == "int64" else torch.randn(shape)


def test_every_class_of_torch_nn_is_a_layer_or_is_refused() -> None:
    losses = {name for name in public() if "Loss" in name}
    lazy = {name for name in public() if name.startswith("Lazy")}
    assert set(public()) - set(FAMILY) - ELSEWHERE == set(REFUSED) | losses | lazy


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_each_is_built_from_its_description_and_its_shape_is_known_before_it_runs(name: str) -> None:
    options, inputs = FAMILY[name]
    kind = make(f"torch.nn.{name}", options)
    assert isinstance(kind, NeuralKind)
    assert kind.title == f"torch.nn.{name}"
    again = make(kind.title, kind.options())
    assert again == kind
    assert hash(again) == hash(kind)
    before = torch.get_rng_state()
    port = kind.infer(inputs)
    assert torch.equal(torch.get_rng_state(), before), "looking at shapes draws no random number"
    found = kind.call(kind.build(inputs), *(real(port) for port in inputs))
    assert isinstance(found, Tensor)
    assert (str(found.dtype).removeprefix("torch."), tuple(found.shape[1:])) == (port.dtype, port.shape)


@pytest.mark.parametrize("name", sorted(name for name in public() if name not in FAMILY and name not in ELSEWHERE))
def test_a_class_that_is_no_layer_says_what_to_use(name: str) -> None:
    reason = REFUSED.get(name) or ("answer layer" if "Loss" in name else f"torch.nn.{name.removeprefix('Lazy')}")
    with pytest.raises(InvalidLayer, match=reason):
        make(f"torch.nn.{name}", {})


def test_seed_and_options_give_the_weights_of_the_plain_class() -> None:
    torch.manual_seed(3)
    plain = nn.Conv2d(4, 6, 3, padding=1)
    torch.manual_seed(3)
    module = TorchModule(nn.Conv2d, (("out_channels", 6), ("kernel_size", 3), ("padding", 1))).build((IMAGE,))
    assert all(
        torch.equal(a, b) for a, b in zip(plain.state_dict().values(), module.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    ("name", "options", "port", "expected"),
    [
        ("Conv2d", {"out_channels": 8, "kernel_size": 3}, Port("float32", (3, None, None)), "float32[batch, 8, ?, ?]"),
        ("AdaptiveAvgPool2d", {"output_size": 1}, Port("float32", (3, None, None)), "float32[batch, 3, 1, 1]"),
        ("Linear", {"out_features": 8}, Port("float32", (None,)), "float32[batch, 8]"),
        ("Linear", {"in_features": 5, "out_features": 8}, Port("float32", (None,)), "float32[batch, 8]"),
        ("Flatten", {}, Port("float32", (2, None)), "float32[batch, ?]"),
        ("Linear", {"out_features": 8}, Port("float32", (None, 5), padded=True), "float32[batch, ?, 8] padded"),
        (
            "Embedding",
            {"embedding_dim": 8},
            Port("int64", (None,), padded=True, size=30),
            "float32[batch, ?, 8] padded",
        ),
        ("Embedding", {"embedding_dim": 8}, Port("int64"), "float32[batch, 8]"),
        ("EmbeddingBag", {"embedding_dim": 8}, Port("int64", (None,), padded=True, size=30), "float32[batch, 8]"),
        (
            "Conv1d",
            {"out_channels": 2, "kernel_size": 1},
            Port("float32", (3, None), padded=True),
            "float32[batch, 2, ?]",
        ),
        ("Softmax", {"dim": 1}, Port("float32", (None, 3), padded=True), "float32[batch, ?, 3]"),
        ("Identity", {}, Port("int64", (3,), size=7), "int64[batch, 3] of 7 values"),
        ("Linear", {"out_features": 8}, Port("unknown"), "unknown"),
    ],
)
def test_sizes_that_are_not_known_yet_stay_open(name: str, options: dict[str, Any], port: Port, expected: str) -> None:
    assert str(make(f"torch.nn.{name}", options).infer((port,))) == expected


@pytest.mark.parametrize(
    ("name", "port", "expected"),
    [
        ("Linear", Port("float32", (None,)), "it gets float32[batch, ?], so in_features is not known"),
        ("Linear", Port("float32", ()), "one number a row, and wants a list of them; say shape: [1] at the column"),
        ("Embedding", Port("int64", (3,)), "put `category` or `vocabulary` before it, or set num_embeddings"),
    ],
)
def test_a_module_is_built_only_when_its_sizes_are_known(name: str, port: Port, expected: str) -> None:
    kind = make(f"torch.nn.{name}", {"out_features": 2} if name == "Linear" else {"embedding_dim": 2})
    assert isinstance(kind, NeuralKind)
    with pytest.raises(InvalidShape) as caught:
        kind.build((port,))
    assert expected in str(caught.value)


def made(title: str, options: dict[str, Any], port: Port | None) -> Kind:
    kind = make(title, options)
    if port is not None:
        kind.infer((port,))
    return kind


CONV = {"out_channels": 8, "kernel_size": 3}

MISTAKES: tuple[tuple[str, dict[str, Any], Port | None, str], ...] = (
    (
        "Conv2d",
        CONV,
        Port("float32", (32, 2, 2)),
        "the kernel 3×3 is larger than the input 2×2; use a smaller kernel_size",
    ),
    ("MaxPool2d", {"kernel_size": [2, 9]}, Port("float32", (3, 8, 8)), "the kernel 2×9 is larger than the input 8×8"),
    ("Conv1d", {**CONV, "padding": 1}, Port("float32", (2, 0)), "with padding 1"),
    ("Conv2d", CONV, Port("uint8", (1, 8, 8)), "wants float32; put a `scale` layer before it"),
    ("Linear", {"out_features": 2}, Port("int64", (8,)), "wants float32; put a `scale` layer before it"),
    ("Linear", {"out_features": 2}, Port("float64", (8,)), "its weights are float32"),
    (
        "Embedding",
        {"embedding_dim": 2},
        VECTOR,
        "wants whole numbers (int64); put `category` or `vocabulary` before it",
    ),
    ("Conv2d", CONV, Port("float32", (8, 8)), "put torch.nn.Unflatten before it (dim: 1, unflattened_size: [1, 8])"),
    (
        "Conv2d",
        CONV,
        Port("float32", (64,)),
        "wants [batch, channels, height, width]; put torch.nn.Unflatten before it",
    ),
    ("Conv1d", CONV, IMAGE, "wants [batch, channels, length]; use torch.nn.Conv2d"),
    ("BatchNorm1d", {}, IMAGE, "use torch.nn.BatchNorm2d"),
    (
        "Linear",
        {"in_features": 64, "out_features": 2},
        Port("float32", (1, 8, 8)),
        "put a torch.nn.Flatten before it (1×8×8 = 64)",
    ),
    (
        "Linear",
        {"in_features": 7, "out_features": 2},
        VECTOR,
        "float32[batch, 8] has 8 in its last dimension; leave it out or set it to 8",
    ),
    (
        "Conv2d",
        {**CONV, "in_channels": 3},
        Port("float32", (1, 8, 8)),
        "in_channels is 3 and the input float32[batch, 1, 8, 8] has 1 in its",
    ),
    ("LayerNorm", {"normalized_shape": [4, 4]}, IMAGE, "normalized_shape is [4, 4]"),
    (
        "Embedding",
        {"embedding_dim": 2, "num_embeddings": 4},
        WORDS,
        "num_embeddings is 4 and its input has 20 different values",
    ),
    ("GroupNorm", {"num_groups": 3}, IMAGE, "num_channels (4) must be divisible by num_groups (3)"),
    ("PixelShuffle", {"upscale_factor": 3}, IMAGE, "it gets float32[batch, 4, 16, 16], and torch.nn.PixelShuffle says"),
    ("Flatten", {"start_dim": 0}, VECTOR, "the first dimension must stay the batch"),
    ("TransformerEncoderLayer", {"nhead": 2}, Port("float32", (None, 8), padded=True), "use the kind `transformer`"),
    ("Conv2d", {"out_chanels": 8}, None, "there is no option 'out_chanels'. Did you mean 'out_channels'?"),
    ("Conv2d", {"out_channels": 8.5, "kernel_size": 3}, None, "expected a whole number"),
    ("Conv2d", {"out_channels": 8}, None, "the option 'kernel_size' (a whole number or"),
    ("Conv2d", {**CONV, "padding_mode": "mirror"}, None, "'zeros'"),
    ("Linear", {"out_features": 2, "device": "cuda"}, None, "'device' is not a layer's to choose"),
    ("Linear", {"out_features": 2, "activation": "rleu"}, None, "Did you mean 'relu'?"),
    ("ReLU", {"inplace": True}, None, "other layers and records may read what it would overwrite"),
    ("MaxPool2d", {"kernel_size": 2, "return_indices": True}, None, "what leaves a layer is one tensor"),
    ("TransformerEncoderLayer", {"nhead": 2, "batch_first": False}, None, "batch-first everywhere"),
    ("Embedding", {"embedding_dim": 2, "_weight": [1.0]}, None, "there is no option '_weight'"),
    ("Dropout", {"p": 2.0}, VECTOR, "dropout probability has to be between 0 and 1"),
    ("Conv2", {}, None, "Did you mean 'torch.nn.Conv2d'?"),
    ("functional.relu", {}, None, "there is no layer 'torch.nn.functional.relu'"),
)


@pytest.mark.parametrize(("name", "options", "port", "expected"), MISTAKES)
def test_a_mistake_says_what_was_found_what_is_wanted_and_the_cure(
    name: str, options: dict[str, Any], port: Port | None, expected: str
) -> None:
    with pytest.raises(Invalid) as caught:
        made(f"torch.nn.{name}", options, port)
    assert expected in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_two_inputs_are_refused_where_one_is_taken() -> None:
    with pytest.raises(InvalidShape, match="takes 1 input and gets 2; layers inside belong to a `block`"):
        make("torch.nn.Linear", {"out_features": 2}).infer((VECTOR, VECTOR))


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("dense", "torch.nn.Linear"),
        ("conv", "torch.nn.Conv2d"),
        ("conv2d", "torch.nn.Conv2d"),
        ("lstm", "torch.nn.LSTM"),
        ("ReLU", "torch.nn.ReLU"),
        ("batchnorm", "torch.nn.BatchNorm2d"),
        ("maxpool", "torch.nn.MaxPool2d"),
        ("sequential", "block"),
        ("flatten", "torch.nn.Flatten"),
        ("dropout", "torch.nn.Dropout"),
    ],
)
def test_the_words_people_use_lead_to_the_right_kind(word: str, right: str) -> None:
    with pytest.raises(InvalidLayer, match=f"Did you mean '{right}'"):
        make(word, {})


def test_lengths_stay_where_each_position_is_worked_on_by_itself() -> None:
    padded = Padded(torch.randn(2, 3, 8), torch.tensor([1, 3]))
    linear = make("torch.nn.Linear", {"out_features": 2, "activation": "tanh"})
    conv = make("torch.nn.Conv1d", {"out_channels": 2, "kernel_size": 1})
    assert isinstance(linear, NeuralKind)
    assert isinstance(conv, NeuralKind)
    kept = linear.call(linear.build((STEPS,)), padded)
    lost = conv.call(conv.build((Port("float32", (3, 8)),)), padded)
    assert isinstance(kept, Padded)
    assert torch.equal(kept.lengths, padded.lengths)
    assert isinstance(lost, Tensor)


def test_a_bag_of_a_padded_row_is_the_bag_of_the_row() -> None:
    kind = make("torch.nn.EmbeddingBag", {"embedding_dim": 3})
    assert isinstance(kind, NeuralKind)
    module = kind.build((WORDS,))
    words, lengths = torch.randint(0, 20, (3, 6)), torch.tensor([2, 0, 6])
    found = kind.call(module, Padded(words, lengths))
    assert isinstance(found, Tensor)
    for row, length in enumerate(lengths.tolist()):
        alone = module(words[row : row + 1, :length]) if length else torch.zeros(1, 3)
        torch.testing.assert_close(found[row : row + 1], alone)


class Gated(nn.Module):
    """A module of a user's: its width follows from the input, the rest are options."""

    def __init__(
        self, in_features: int, out_features: int, activation: str = "tanh", shape: tuple[int, ...] = (1,)
    ) -> None:
        super().__init__()
        self.value = nn.Linear(in_features, out_features)
        self.gate = nn.Linear(in_features, out_features)
        self.activation = activation
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        left: Tensor = torch.sigmoid(self.gate(x)) * self.value(x)
        return left


class Means(nn.Module):
    """A module of a user's that asks for lengths."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return x.sum(1) / lengths[:, None]


class Stubborn(nn.Module):
    """A module of a user's that needs numbers, not only shapes."""

    def __init__(self, rank: int = 2) -> None:
        super().__init__()
        self.rank = rank

    def forward(self, x: Tensor) -> Tensor:
        if x.sum().item() > 1000:
            return x
        if x.ndim != self.rank:
            raise ValueError("only vectors here")
        return x[:, :2]


class Needy(nn.Module):
    """A module of a user's that takes another module."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner


def test_a_users_class_is_a_layer_by_its_qualified_name() -> None:
    layer = Layer("gate", Gated, out_features=3, shape=(2, 2))
    assert layer.kind == f"{__name__}.Gated"
    assert layer.options == {"out_features": 3, "shape": [2, 2]}
    assert Layer.from_description("gate", layer.describe()) == layer
    assert str(layer.action.infer((VECTOR,))) == "float32[batch, 3]"
    assert "class Gated(nn.Module)" in layer.action.code[layer.kind]


def test_a_users_own_activation_argument_is_its_own() -> None:
    kind = make(f"{__name__}.Gated", {"out_features": 3, "activation": "anything"})
    assert isinstance(kind, TorchModule)
    assert kind.activation is None
    built = kind.build((VECTOR,))
    assert isinstance(built, Gated)
    assert built.activation == "anything"


def test_a_module_that_needs_numbers_is_tried_on_zeros() -> None:
    assert str(make(f"{__name__}.Stubborn", {}).infer((VECTOR,))) == "float32[batch, 2]"


def test_a_users_error_names_file_and_line() -> None:
    with pytest.raises(InvalidShape, match=r"raised ValueError: only vectors here \(test_modules.py:\d+\)"):
        make(f"{__name__}.Stubborn", {}).infer((IMAGE,))


def test_a_users_module_gets_the_lengths_it_asks_for() -> None:
    kind = make(f"{__name__}.Means", {})
    assert isinstance(kind, NeuralKind)
    assert str(kind.infer((Port("float32", (None, 8), padded=True),))) == "float32[batch, 8]"
    padded = Padded(torch.ones(2, 3, 8), torch.tensor([1, 3]))
    found = kind.call(kind.build((STEPS,)), padded)
    assert isinstance(found, Tensor)
    assert found[:, 0].tolist() == [3.0, 1.0]


@pytest.mark.parametrize(
    ("title", "options", "expected"),
    [
        ("nowhere.Net", {}, "is not in the running program; import it before, or run `layerwise … --code FILE.py`"),
        (f"{__name__}.Gone", {}, "is no nn.Module class, and nothing else is run by its name"),
        (f"{__name__}.public", {}, "is no nn.Module class"),
        (f"{__name__}.f.<locals>.Net", {}, "is defined inside a function"),
        (f"{__name__}.Needy", {}, "needs 'inner', which a description cannot hold"),
        (f"{__name__}.Gated", {"out_features": 3, "gain": 2}, "there is no option 'gain'"),
        ("scael.v1", {}, "there is no kind"),
        ("os.path.join", {}, "is no nn.Module class"),
        ("a" * 400 + ".b", {}, "there is no kind"),
    ],
)
def test_a_class_that_cannot_be_used_says_why(title: str, options: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidLayer) as caught:
        make(title, options)
    assert expected in str(caught.value)


def test_nothing_is_imported_by_a_name_in_a_description(monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = ModuleType("lazy_package")

    def asked(name: str) -> Any:
        raise AssertionError(f"{name} was asked for")

    lazy.__getattr__ = asked  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "lazy_package", lazy)
    before = set(sys.modules)
    assert find_class("lazy_package.Net") is None
    assert find_class("xml.dom.minidom.Net") is None
    with pytest.raises(InvalidLayer, match=r"is no nn\.Module class"):
        resolve("lazy_package.Net", {})
    assert set(sys.modules) == before


class Opener(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def test_a_description_alone_does_not_make_a_class_of_an_installed_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "LIBRARIES", {str(Path(__file__).parent)})
    title = qualified_name(Opener)
    with pytest.raises(InvalidLayer, match="installed library"):
        make(title, {})
    assert Layer("any", Opener).kind == title
    assert make(title, {}).title == title
