"""Bad graphs and shapes: cycles, missing inputs, layers that do not fit what they get."""

from __future__ import annotations

import layerwise as lw
from tests.support.bad_inputs import Bad, file, layers, python

X = "x: {kind: column, column: number}\n"
V = "v: {kind: column, column: vector}\n"
P = "p: {kind: column, column: pixels}\n"
S = "s: {kind: column, column: steps}\n"
END = "end: {kind: classes, target: label}\n"
LINEAR = "scores: {kind: torch.nn.Linear, out_features: 2}\n"

ROWS: list[Bad] = [
    layers("a cycle of two", V + "a: {kind: torch.nn.ReLU, inputs: [b]}\nb: {kind: torch.nn.ReLU}\n" + END, "InvalidGraph", "model.yaml:5:", "there is a cycle in the model", "a → b → a. Take one of these inputs away"),
    layers("a layer that takes itself", V + "a: {kind: torch.nn.ReLU, inputs: [a]}\n" + END, "InvalidGraph", "model.yaml:5:", "there is a cycle in the model", "a → a. Take one of these inputs away"),
    layers("a cycle in a block", V + "b:\n  kind: block\n  layers:\n    c: {kind: add, inputs: [input, d]}\n"
           "    d: {kind: torch.nn.ReLU}\n" + END, "InvalidGraph", "model.yaml:8:", "'b'", "c → d → c. Take one of these inputs away"),
    layers("missing input", V + "a: {kind: torch.nn.ReLU, inputs: [vv]}\n" + END, "InvalidGraph", "model.yaml:5: layer 'a'", "'vv'", "Did you mean 'v'"),
    layers("missing input of a block's layer", V + "b:\n  kind: block\n  layers:\n"
           "    c: {kind: torch.nn.ReLU, inputs: [inptu]}\n" + END, "InvalidGraph", "model.yaml:8: layer 'b.c'", "'inptu'", "Did you mean 'input'"),
    layers("a layer outside the block", V + "b:\n  kind: block\n  layers:\n"
           "    c: {kind: torch.nn.ReLU, inputs: [v]}\n" + END, "InvalidGraph", "model.yaml:8: layer 'b.c'", "'v'", "There is: input."),
    layers("an input of 10 kB", V + f"a: {{kind: torch.nn.ReLU, inputs: [{'x' * 10_000}]}}\n" + END, "InvalidName", "model.yaml:5: layer 'a'", "characters) is not a layer's name", "expected letters, digits and '_', at most 100 characters"),
    layers("an input with a path", V + "a: {kind: torch.nn.ReLU, inputs: [../v]}\n" + END, "InvalidName", "model.yaml:5: layer 'a'", "'../v' is not a layer's name", "expected letters, digits and '_', at most 100 characters"),
    layers("the first layer takes nothing", "a: {kind: scale}\n" + V + END, "InvalidGraph", "model.yaml:4: layer 'a'", "it has 0 inputs and takes 1", "put a layer before it (a column reads the dataset)"),
    layers("one input of two", V + "a: {kind: add}\n" + END, "InvalidGraph", "model.yaml:5: layer 'a'", "it has 1 input and takes at least 2", "name them with inputs: [a, b]"),
    layers("two inputs of one", V + X + "a: {kind: torch.nn.ReLU, inputs: [v, x]}\n" + END, "InvalidGraph", "model.yaml:6: layer 'a'", "it has 2 inputs and takes 1", "put a `concatenate` or `add` before it, which makes one"),
    layers("two inputs of a data layer", V + X + "a: {kind: scale, inputs: [v, x]}\n" + END, "InvalidGraph", "model.yaml:6: layer 'a'", "it has 2 inputs and takes 1", "put a `join` before it, which makes one of several"),
    layers("inputs on a column", V + "x: {kind: column, column: number, inputs: [v]}\n" + END, "InvalidGraph", "model.yaml:5: layer 'x'", "found v", "take them away"),
    layers("two answers", V + LINEAR + END + "more: {kind: classes, target: three, inputs: [scores]}", "InvalidGraph", "model.yaml:7: layer 'more'", "the model has 2 answer layers (end, more)", "keep one"),
    layers("something after the answer", V + LINEAR + END + "more: {kind: torch.nn.ReLU}", "InvalidGraph", "model.yaml:7: layer 'more'", "'end'", "nothing comes after an answer"),
    layers("no answer", V + LINEAR, "InvalidGraph", "model.yaml:1:", "'bad'", "end it with one, e.g. Classes(target=COLUMN)"),
    layers("data after neural", V + LINEAR + "more: {kind: scale}\n" + END, "InvalidGraph", "model.yaml:6: layer 'more'", "'scores'", "put it before"),
    layers("a layer called input in a block", V + "b:\n  kind: block\n  layers:\n"
           "    input: {kind: torch.nn.ReLU}\n" + END, "InvalidGraph", "model.yaml:8: layer 'b.input'", "'input'", "choose another name"),
    layers("a data layer in a block", V + "b:\n  kind: block\n  layers:\n    c: {kind: scale}\n" + END, "InvalidGraph", "model.yaml:8: layer 'b.c'", "a data layer cannot stand inside a block", "put it before the block"),
    layers("a column in a block", V + "b:\n  kind: block\n  layers:\n    c: {kind: column, column: number}\n" + END,
           "InvalidGraph", "model.yaml:8: layer 'b.c'", "a data layer cannot stand inside a block", "put it before the block"),
    layers("an answer in a block", V + "b:\n  kind: block\n  layers:\n    c: {kind: classes, target: label}\n" + END,
           "InvalidGraph", "model.yaml:8: layer 'b.c'", "a answer layer cannot stand inside a block", "put it behind the block"),
    layers("an empty block", V + "b: {kind: block}\n" + END, "InvalidShape", "model.yaml:5: layer 'b'", "a block needs layers inside it", "write them under `layers`"),
    layers("a block of one too many inputs", V + X + "r:\n  kind: residual\n  inputs: [v, x]\n  layers:\n"
           "    c: {kind: torch.nn.ReLU}\n" + END, "InvalidGraph", "model.yaml:6: layer 'r'", "it has 2 inputs and takes 1", "put a `concatenate` or `add` before it, which makes one"),
    layers("nothing to train", V + END, "InvalidShape", "model.yaml:5: layer 'end'", "'label'", "set out_features to 2 in the layer before"),
    layers("all frozen", V + "scores: {kind: torch.nn.Linear, out_features: 2, frozen: true}\n" + END, "InvalidGraph", "model.yaml:7:", "'bad'", "every layer is frozen or has none"),
    file("no dataset", "model: bad\nlayers:\n  v: {kind: column, column: vector}\n", "InvalidConfig", "model.yaml:1:", "'bad'", "give one: lw.train(model, data) or data: NAME"),
    file("a dataset that is not there", "model: bad\ndata: thing\nlayers:\n  v: {kind: column, column: vector}\n", "InvalidConfig", "model.yaml:2:", "no dataset 'thing'", "Did you mean 'things'"),
    file("a version of a dataset that is not there", "model: bad\ndata: things@4\nlayers:\n"
         "  v: {kind: column, column: vector}\n", "InvalidConfig", "model.yaml:2:", "no version '4'", "its newest is 1."),
    layers("a column that is not there", "v: {kind: column, column: vektor}\n" + LINEAR + END, "InvalidData", "model.yaml:4: layer 'v'", "no column 'vektor'", "Did you mean 'vector'"),
    layers("a target that is not there", V + LINEAR + "end: {kind: classes, target: lable}", "InvalidData", "model.yaml:6: layer 'end'", "no column 'lable'", "Did you mean 'label'"),
    layers("a conv on vectors", V + "a: {kind: torch.nn.Conv2d, out_channels: 2, kernel_size: 3}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "it gets float32[batch, 4] and wants [batch,", "put torch.nn.Unflatten before it, or say the shape at the"),
    layers("a conv on numbers", X + "a: {kind: torch.nn.Conv1d, out_channels: 2, kernel_size: 3}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "it gets float32[batch] and wants [batch,", "put torch.nn.Unflatten before it, or say the shape at the"),
    layers("Linear on one number", X + LINEAR + END, "InvalidShape", "model.yaml:5: layer 'scores'", "it gets float32[batch], one number a row,", "say shape: [1] at the column"),
    layers("Linear on images: width", P + "scores: {kind: torch.nn.Linear, in_features: 64, out_features: 2}\n" + END,
           "InvalidShape", "model.yaml:5: layer 'scores'", "in_features is 64 and the input", "put a torch.nn.Flatten before it (1×8×8 = 64)"),
    layers("Linear on images: answer", P + LINEAR + END, "InvalidShape", "model.yaml:6: layer 'end'", "is float32[batch, 1, 8, 2]", "expected one line of numbers a row, [batch, values]: put"),
    layers("a kernel too large", P + "a: {kind: torch.nn.Conv2d, out_channels: 2, kernel_size: 11}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "the kernel 11×11 is larger than the input 8×8", "use a smaller kernel_size, more padding, or pool less"),
    layers("pooled to nothing", P + "a: {kind: torch.nn.MaxPool2d, kernel_size: 8}\n"
           "b: {kind: torch.nn.MaxPool2d, kernel_size: 2}\n" + END, "InvalidShape", "model.yaml:6: layer 'b'", "the kernel 2×2 is larger than the input 1×1", "use a smaller kernel_size, more padding, or pool less"),
    layers("in_features that contradict", V + "scores: {kind: torch.nn.Linear, in_features: 5, out_features: 2}\n" + END,
           "InvalidShape", "model.yaml:5: layer 'scores'", "in_features is 5 and the input", "leave it out or set it to 4"),
    layers("in_channels that contradict", P + "a: {kind: torch.nn.Conv2d, in_channels: 3, out_channels: 2, kernel_size: 3}\n"
           + END, "InvalidShape", "model.yaml:5: layer 'a'", "in_channels is 3 and the input", "leave it out or set it to 1"),
    layers("input_size that contradicts", S + "a: {kind: torch.nn.GRU, input_size: 5, hidden_size: 2}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "input_size is 5 and the input float32[batch,", "leave it out or set it to 3"),
    layers("normalized_shape that contradicts", V + "a: {kind: torch.nn.LayerNorm, normalized_shape: 5}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "normalized_shape is [5] and the input is", "leave it out or set it to [4]"),
    layers("a residual that does not fit", V + "r:\n  kind: residual\n  layers:\n"
           "    c: {kind: torch.nn.Linear, out_features: 7}\n" + END, "InvalidShape", "model.yaml:5: layer 'r'", "the layers inside make float32[batch, 7] of", "make the last one keep the shape, or write a block with"),
    layers("an add that does not fit", V + "a: {kind: torch.nn.Linear, out_features: 3}\n"
           "b: {kind: add, inputs: [v, a]}\n" + END, "InvalidShape", "model.yaml:6: layer 'b'", "it gets float32[batch, 4] and float32[batch,", "only equal shapes can be added, so make one like the"),
    layers("a multiply of other ranks", V + P + "b: {kind: multiply, inputs: [v, p]}\n" + END, "InvalidShape", "model.yaml:6: layer 'b'", "it gets float32[batch, 4] and float32[batch,", "only equal shapes can be multiplied, so make one like the"),
    layers("a concatenate of other ranks", V + P + "b: {kind: concatenate, inputs: [v, p]}\n" + END, "InvalidShape", "model.yaml:6: layer 'b'", "it gets float32[batch, 4] and float32[batch,", "all sizes but that of dimension 0 must be equal, and the"),
    layers("a concatenate over a dimension that is not there", V + "a: {kind: torch.nn.ReLU}\n"
           "b: {kind: concatenate, dim: 3, inputs: [v, a]}\n" + END, "InvalidLayer", "model.yaml:6: layer 'b'", "(concatenate.v1)", "the option 'dim' is 3 and its inputs have 1 dimensions"),
    layers("a join of images", V + P + "b: {kind: join, inputs: [v, p]}\n" + LINEAR + END, "InvalidShape", "model.yaml:6: layer 'b'", "input 2 is float32[batch, 1, 8, 8], and it", "put a flatten or pooling layer behind it and join there"),
    layers("text into Linear", "t: {kind: column, column: text}\n" + LINEAR + END, "InvalidShape", "model.yaml:5: layer 'scores'", "'t'", "encode it first (category, one_hot, vocabulary, image …)"),
    layers("text into standardize", "t: {kind: column, column: text}\na: {kind: standardize}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "its input is string, and it takes numbers", "encode it first (category, one_hot, tokens, image)"),
    layers("times into scale", "t: {kind: column, column: when}\na: {kind: scale}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "its input is timestamp, and it takes numbers", "encode it first (category, one_hot, tokens, image)"),
    layers("bytes into Linear", "t: {kind: column, column: bytes}\n" + LINEAR + END, "InvalidShape", "model.yaml:5: layer 'scores'", "'t'", "encode it first (category, one_hot, vocabulary, image …)"),
    layers("text into an image", "t: {kind: column, column: text}\na: {kind: image, size: [8, 8]}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "is string", "expected image files (binary) or uint8 pixels [channels,"),
    layers("numbers into tokens", X + "a: {kind: tokens}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "(tokens.v1)", "its input is float32[batch], and it takes text"),
    layers("bytes of colour into a conv", "i: {kind: column, column: image}\n"
           "a: {kind: torch.nn.Conv2d, out_channels: 2, kernel_size: 3}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "it gets uint8[batch, 1, 8, 8] and wants", "put a `scale` layer before it"),
    layers("fractions into an embedding", V + "a: {kind: torch.nn.Embedding, embedding_dim: 3}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "it gets float32[batch, 4] and wants whole", "put `category` or `vocabulary` before it"),
    layers("an embedding of too few", "t: {kind: column, column: three}\nc: {kind: category, values: [a, b, c]}\n"
           "a: {kind: torch.nn.Embedding, num_embeddings: 2, embedding_dim: 3}\n" + END, "InvalidShape", "model.yaml:6: layer 'a'", "num_embeddings is 2 and its input has 3", "leave it out or set it to 3"),
    layers("an embedding of nobody knows how many", "w: {kind: column, column: whole}\n"
           "a: {kind: torch.nn.Embedding, embedding_dim: 2}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "it gets int64[batch], and how many different", "put `category` or `vocabulary` before it, or set"),
    layers("lists into a GRU", "l: {kind: column, column: list}\na: {kind: torch.nn.GRU, hidden_size: 3}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "'l'", "encode it first (category, one_hot, vocabulary, image …)"),
    layers("images into a GRU", P + "a: {kind: torch.nn.GRU, hidden_size: 3}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "it gets float32[batch, 1, 8, 8] and wants", "put a torch.nn.Flatten(start_dim=2) before it"),
    layers("vectors pooled over time", V + "a: {kind: pool_over_time}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "it gets float32[batch, 4] and wants", "take `returns: all` of the layer before"),
    layers("a shape that does not fit the column", "v: {kind: column, column: vector, shape: [5]}\n" + LINEAR + END, "InvalidShape", "model.yaml:4: layer 'v'", "'vector'", "shape: [5] wants 5. Set `shape` to fit the data"),
    layers("a shape for text", "v: {kind: column, column: text, shape: [5]}\n" + END, "InvalidShape", "model.yaml:4: layer 'v'", "'text'", "take `shape` away"),
    layers("channels where there are none", V + "a: {kind: standardize, per: channel}\n" + LINEAR + END, "InvalidShape", "model.yaml:5: layer 'a'", "its input is float32[batch, 4] and has no", "take per: feature"),
    layers("three scores for two classes", V + "scores: {kind: torch.nn.Linear, out_features: 3}\n" + END, "InvalidShape", "model.yaml:6: layer 'end'", "'label'", "set out_features to 2 in the layer before"),
    layers("two scores for three labels", V + LINEAR + "end: {kind: classes, target: label, labels: [yes, no, maybe]}",
           "InvalidShape", "model.yaml:6: layer 'end'", "'label'", "set out_features to 3 in the layer before"),
    layers("two scores for one value", V + LINEAR + "end: {kind: value, target: number}", "InvalidShape", "model.yaml:6: layer 'end'", "'number'", "set out_features to 1 in the layer before"),
    layers("three scores for two tags", V + "scores: {kind: torch.nn.Linear, out_features: 3}\n"
           "end: {kind: labels, target: tags}", "InvalidShape", "model.yaml:6: layer 'end'", "'tags'", "set out_features to 2 in the layer before"),
    layers("heads that do not divide", S + "a: {kind: attention, heads: 2}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "heads is 2 and the input has 3 features a", "set heads to one of [1, 3]"),
    layers("attention on vectors", V + "a: {kind: attention, heads: 2}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "it gets float32[batch, 4] and wants", "take `returns: all` of the recurrent layer before, or put"),
    layers("a permute of other dimensions", S + "a: {kind: permute, dims: [2, 0, 1]}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "it gets float32[batch, 6, 3] and dims says", "name every dimension but the batch"),
    layers("an unflatten that does not fit", V + "a: {kind: torch.nn.Unflatten, dim: 1, unflattened_size: [3, 3]}\n" + END,
           "InvalidShape", "model.yaml:5: layer 'a'", "it gets float32[batch, 4], and", "Provided sizes [3, 3] don't multiply up to the size of"),
    layers("a thousand million million weights", V + "a: {kind: torch.nn.Linear, out_features: 1000000000000000}\n"
           + LINEAR + END, "InvalidLayer", "model.yaml:5: layer 'a'", "its weights do not fit in memory", "make it smaller"),
    layers("a layer that makes nothing", S + "a: {kind: torch.nn.ConstantPad1d, padding: [-2, -1], value: 0}\n" + END, "InvalidShape", "model.yaml:5: layer 'a'", "it gets float32[batch, 6, 3] and makes", "look at its options"),
    python("a model of no layers", lambda b: lw.Model("m", []), "InvalidGraph", "'m'", "give it at least a column and an answer"),
    python("a model of what is no layer", lambda b: lw.Model("m", [lw.Column("x")]), "InvalidGraph", "'x'", "give it a name: Layer(NAME, KIND)"),  # type: ignore[list-item]
    python("a model of a dict", lambda b: lw.Model("m", {"x": lw.Column("x")}), "InvalidGraph", "layers are a list, [Layer(NAME, KIND), …]", "found {'x': Column(column='x', shape=None)}"),  # type: ignore[arg-type]
    python("a model of nothing", lambda b: lw.Model("m", None), "InvalidGraph", "layers are a list, [Layer(NAME, KIND), …]", "found nothing"),  # type: ignore[arg-type]
    python("two layers of one name", lambda b: lw.Model("m", [lw.Layer("x", lw.Column("x")), lw.Layer("x", lw.Scale())]),
           "InvalidGraph", "layer 'x'", "the name is given twice", "layers beside each other need different names"),
    python("a layer that is not there", lambda b: lw.load("flower", repo=b.repo).model.layer("hiden"), "InvalidGraph", "no layer 'hiden'", "Did you mean 'hidden'"),
]
