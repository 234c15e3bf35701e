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
    layers("a cycle of two", V + "a: {kind: torch.nn.ReLU, inputs: [b]}\nb: {kind: torch.nn.ReLU}\n" + END, "InvalidGraph"),
    layers("a layer that takes itself", V + "a: {kind: torch.nn.ReLU, inputs: [a]}\n" + END, "InvalidGraph"),
    layers("a cycle in a block", V + "b:\n  kind: block\n  layers:\n    c: {kind: add, inputs: [input, d]}\n"
           "    d: {kind: torch.nn.ReLU}\n" + END, "InvalidGraph"),
    layers("missing input", V + "a: {kind: torch.nn.ReLU, inputs: [vv]}\n" + END, "InvalidGraph"),
    layers("missing input of a block's layer", V + "b:\n  kind: block\n  layers:\n"
           "    c: {kind: torch.nn.ReLU, inputs: [inptu]}\n" + END, "InvalidGraph"),
    layers("a layer outside the block", V + "b:\n  kind: block\n  layers:\n"
           "    c: {kind: torch.nn.ReLU, inputs: [v]}\n" + END, "InvalidGraph"),
    layers("an input of 10 kB", V + f"a: {{kind: torch.nn.ReLU, inputs: [{'x' * 10_000}]}}\n" + END, "InvalidName"),
    layers("an input with a path", V + "a: {kind: torch.nn.ReLU, inputs: [../v]}\n" + END, "InvalidName"),
    layers("the first layer takes nothing", "a: {kind: scale}\n" + V + END, "InvalidGraph"),
    layers("one input of two", V + "a: {kind: add}\n" + END, "InvalidGraph"),
    layers("two inputs of one", V + X + "a: {kind: torch.nn.ReLU, inputs: [v, x]}\n" + END, "InvalidGraph"),
    layers("two inputs of a data layer", V + X + "a: {kind: scale, inputs: [v, x]}\n" + END, "InvalidGraph"),
    layers("inputs on a column", V + "x: {kind: column, column: number, inputs: [v]}\n" + END, "InvalidGraph"),
    layers("two answers", V + LINEAR + END + "more: {kind: classes, target: three, inputs: [scores]}", "InvalidGraph"),
    layers("something after the answer", V + LINEAR + END + "more: {kind: torch.nn.ReLU}", "InvalidGraph"),
    layers("no answer", V + LINEAR, "InvalidGraph"),
    layers("data after neural", V + LINEAR + "more: {kind: scale}\n" + END, "InvalidGraph"),
    layers("a layer called input in a block", V + "b:\n  kind: block\n  layers:\n"
           "    input: {kind: torch.nn.ReLU}\n" + END, "InvalidGraph"),
    layers("a data layer in a block", V + "b:\n  kind: block\n  layers:\n    c: {kind: scale}\n" + END, "InvalidGraph"),
    layers("a column in a block", V + "b:\n  kind: block\n  layers:\n    c: {kind: column, column: number}\n" + END,
           "InvalidGraph"),
    layers("an answer in a block", V + "b:\n  kind: block\n  layers:\n    c: {kind: classes, target: label}\n" + END,
           "InvalidGraph"),
    layers("an empty block", V + "b: {kind: block}\n" + END, "InvalidShape"),
    layers("a block of one too many inputs", V + X + "r:\n  kind: residual\n  inputs: [v, x]\n  layers:\n"
           "    c: {kind: torch.nn.ReLU}\n" + END, "InvalidGraph"),
    layers("nothing to train", V + END, "InvalidShape"),
    layers("all frozen", V + "scores: {kind: torch.nn.Linear, out_features: 2, frozen: true}\n" + END, "InvalidGraph"),
    file("no dataset", "model: bad\nlayers:\n  v: {kind: column, column: vector}\n", "InvalidConfig"),
    file("a dataset that is not there", "model: bad\ndata: thing\nlayers:\n  v: {kind: column, column: vector}\n", "NotFound"),
    file("a version of a dataset that is not there", "model: bad\ndata: things@4\nlayers:\n"
         "  v: {kind: column, column: vector}\n", "NotFound"),
    layers("a column that is not there", "v: {kind: column, column: vektor}\n" + LINEAR + END, "InvalidData"),
    layers("a target that is not there", V + LINEAR + "end: {kind: classes, target: lable}", "InvalidData"),
    layers("a conv on vectors", V + "a: {kind: torch.nn.Conv2d, out_channels: 2, kernel_size: 3}\n" + END, "InvalidShape"),
    layers("a conv on numbers", X + "a: {kind: torch.nn.Conv1d, out_channels: 2, kernel_size: 3}\n" + END, "InvalidShape"),
    layers("Linear on one number", X + LINEAR + END, "InvalidShape"),
    layers("Linear on images: width", P + "scores: {kind: torch.nn.Linear, in_features: 64, out_features: 2}\n" + END,
           "InvalidShape"),
    layers("Linear on images: answer", P + LINEAR + END, "InvalidShape"),
    layers("a kernel too large", P + "a: {kind: torch.nn.Conv2d, out_channels: 2, kernel_size: 11}\n" + END, "InvalidShape"),
    layers("pooled to nothing", P + "a: {kind: torch.nn.MaxPool2d, kernel_size: 8}\n"
           "b: {kind: torch.nn.MaxPool2d, kernel_size: 2}\n" + END, "InvalidShape"),
    layers("in_features that contradict", V + "scores: {kind: torch.nn.Linear, in_features: 5, out_features: 2}\n" + END,
           "InvalidShape"),
    layers("in_channels that contradict", P + "a: {kind: torch.nn.Conv2d, in_channels: 3, out_channels: 2, kernel_size: 3}\n"
           + END, "InvalidShape"),
    layers("input_size that contradicts", S + "a: {kind: torch.nn.GRU, input_size: 5, hidden_size: 2}\n" + END, "InvalidShape"),
    layers("normalized_shape that contradicts", V + "a: {kind: torch.nn.LayerNorm, normalized_shape: 5}\n" + END, "InvalidShape"),
    layers("a residual that does not fit", V + "r:\n  kind: residual\n  layers:\n"
           "    c: {kind: torch.nn.Linear, out_features: 7}\n" + END, "InvalidShape"),
    layers("an add that does not fit", V + "a: {kind: torch.nn.Linear, out_features: 3}\n"
           "b: {kind: add, inputs: [v, a]}\n" + END, "InvalidShape"),
    layers("a multiply of other ranks", V + P + "b: {kind: multiply, inputs: [v, p]}\n" + END, "InvalidShape"),
    layers("a concatenate of other ranks", V + P + "b: {kind: concatenate, inputs: [v, p]}\n" + END, "InvalidShape"),
    layers("a concatenate over a dimension that is not there", V + "a: {kind: torch.nn.ReLU}\n"
           "b: {kind: concatenate, dim: 3, inputs: [v, a]}\n" + END, "InvalidLayer"),
    layers("a join of images", V + P + "b: {kind: join, inputs: [v, p]}\n" + LINEAR + END, "InvalidShape"),
    layers("text into Linear", "t: {kind: column, column: text}\n" + LINEAR + END, "InvalidShape"),
    layers("text into standardize", "t: {kind: column, column: text}\na: {kind: standardize}\n" + END, "InvalidShape"),
    layers("times into scale", "t: {kind: column, column: when}\na: {kind: scale}\n" + END, "InvalidShape"),
    layers("bytes into Linear", "t: {kind: column, column: bytes}\n" + LINEAR + END, "InvalidShape"),
    layers("text into an image", "t: {kind: column, column: text}\na: {kind: image, size: [8, 8]}\n" + END, "InvalidShape"),
    layers("numbers into tokens", X + "a: {kind: tokens}\n" + END, "InvalidShape"),
    layers("bytes of colour into a conv", "i: {kind: column, column: image}\n"
           "a: {kind: torch.nn.Conv2d, out_channels: 2, kernel_size: 3}\n" + END, "InvalidShape"),
    layers("fractions into an embedding", V + "a: {kind: torch.nn.Embedding, embedding_dim: 3}\n" + END, "InvalidShape"),
    layers("an embedding of too few", "t: {kind: column, column: three}\nc: {kind: category, values: [a, b, c]}\n"
           "a: {kind: torch.nn.Embedding, num_embeddings: 2, embedding_dim: 3}\n" + END, "InvalidShape"),
    layers("an embedding of nobody knows how many", "w: {kind: column, column: whole}\n"
           "a: {kind: torch.nn.Embedding, embedding_dim: 3}\n" + END, "InvalidShape"),
    layers("lists into a GRU", "l: {kind: column, column: list}\na: {kind: torch.nn.GRU, hidden_size: 3}\n" + END, "InvalidShape"),
    layers("images into a GRU", P + "a: {kind: torch.nn.GRU, hidden_size: 3}\n" + END, "InvalidShape"),
    layers("vectors pooled over time", V + "a: {kind: pool_over_time}\n" + END, "InvalidShape"),
    layers("a shape that does not fit the column", "v: {kind: column, column: vector, shape: [5]}\n" + LINEAR + END, "InvalidShape"),
    layers("a shape for text", "v: {kind: column, column: text, shape: [5]}\n" + END, "InvalidShape"),
    layers("channels where there are none", V + "a: {kind: standardize, per: channel}\n" + LINEAR + END, "InvalidShape"),
    layers("three scores for two classes", V + "scores: {kind: torch.nn.Linear, out_features: 3}\n" + END, "InvalidShape"),
    layers("two scores for three labels", V + LINEAR + "end: {kind: classes, target: label, labels: [yes, no, maybe]}",
           "InvalidShape"),
    layers("two scores for one value", V + LINEAR + "end: {kind: value, target: number}", "InvalidShape"),
    layers("three scores for two tags", V + "scores: {kind: torch.nn.Linear, out_features: 3}\n"
           "end: {kind: labels, target: tags}", "InvalidShape"),
    layers("heads that do not divide", S + "a: {kind: attention, heads: 2}\n" + END, "InvalidShape"),
    layers("attention on vectors", V + "a: {kind: attention, heads: 2}\n" + END, "InvalidShape"),
    layers("a permute of other dimensions", S + "a: {kind: permute, dims: [2, 0, 1]}\n" + END, "InvalidShape"),
    layers("an unflatten that does not fit", V + "a: {kind: torch.nn.Unflatten, dim: 1, unflattened_size: [3, 3]}\n" + END,
           "InvalidShape"),
    layers("a thousand million million weights", V + "a: {kind: torch.nn.Linear, out_features: 1000000000000000}\n"
           + LINEAR + END, "InvalidShape"),
    python("a model of no layers", lambda b: lw.Model("m", []), "InvalidGraph"),
    python("a model of what is no layer", lambda b: lw.Model("m", [lw.Column("x")]), "InvalidGraph"),  # type: ignore[list-item]
    python("a model of a dict", lambda b: lw.Model("m", {"x": lw.Column("x")}), "InvalidGraph"),  # type: ignore[arg-type]
    python("a model of nothing", lambda b: lw.Model("m", None), "InvalidGraph"),  # type: ignore[arg-type]
    python("two layers of one name", lambda b: lw.Model("m", [lw.Layer("x", lw.Column("x")), lw.Layer("x", lw.Scale())]),
           "InvalidGraph"),
    python("a layer that is not there", lambda b: lw.load("flower", repo=b.repo).model.layer("hiden"), "InvalidGraph"),
]
