"""Bad kinds and options: unknown, missing, of a wrong type, out of range, and names that would run code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

import layerwise as lw
from tests.support.bad_inputs import Bad, command, layers, python


@dataclass(frozen=True)
class Owned(lw.Kind):
    """A kind with an option that every layer has."""

    owner: str = ""

    def infer(self, inputs: tuple[lw.Port, ...], state: Mapping[str, Any] | None = None) -> lw.Port:
        return inputs[0]


X = "x: {kind: column, column: number}\n"
V = "x: {kind: column, column: vector}\n"

ROWS: list[Bad] = [
    layers("unknown kind", X + "y: {kind: standardise}", "InvalidLayer", "model.yaml:5: layer 'y'", "no kind 'standardise'", "Did you mean 'standardize'"),
    layers("unknown kind, nothing near", X + "y: {kind: qqqq}", "InvalidLayer", "model.yaml:5: layer 'y'", "no kind 'qqqq'", "There is: add, attention, augment,"),
    layers("a kind as others call it", V + "y: {kind: dense, out_features: 3}", "InvalidLayer", "model.yaml:5: layer 'y'", "no kind 'dense'", "Did you mean 'torch.nn.Linear'"),
    layers("kind in capitals", X + "y: {kind: Scale}", "InvalidLayer", "model.yaml:5: layer 'y'", "no kind 'Scale'", "Did you mean 'scale'"),
    layers("unknown class of torch.nn", V + "y: {kind: torch.nn.Linaer, out_features: 3}", "InvalidLayer", "model.yaml:5: layer 'y'", "no layer 'torch.nn.Linaer'", "Did you mean 'torch.nn.Linear'"),
    layers("a function of torch", V + "y: {kind: torch.load, f: x}", "InvalidLayer", "model.yaml:5: layer 'y'", "no layer 'torch.load'", "of torch, the classes of torch.nn are layers"),
    layers("a class of torch outside nn", V + "y: {kind: torch.Tensor}", "InvalidLayer", "model.yaml:5: layer 'y'", "no layer 'torch.Tensor'", "of torch, the classes of torch.nn are layers"),
    layers("a deep path in torch", V + "y: {kind: torch.nn.modules.linear.Linear, out_features: 3}", "InvalidLayer", "model.yaml:5: layer 'y'", "no layer 'torch.nn.modules.linear.Linear'", "Did you mean 'torch.nn.Linear'"),
    layers("a loss", V + "y: {kind: torch.nn.CrossEntropyLoss}", "InvalidLayer", "model.yaml:5: layer 'y'", "torch.nn.CrossEntropyLoss is no layer by", "the loss belongs to the answer layer (`classes`, `value`,"),
    layers("a container", V + "y: {kind: torch.nn.Sequential}", "InvalidLayer", "model.yaml:5: layer 'y'", "torch.nn.Sequential is no layer by itself", "write a `block` with layers inside"),
    layers("a list of modules", V + "y: {kind: torch.nn.ModuleList}", "InvalidLayer", "model.yaml:5: layer 'y'", "torch.nn.ModuleList is no layer by itself", "write its layers one by one, or a `block` with layers"),
    layers("a lazy module", V + "y: {kind: torch.nn.LazyLinear, out_features: 3}", "InvalidLayer", "model.yaml:5: layer 'y'", "torch.nn.LazyLinear is no layer by itself", "sizes are inferred, so use torch.nn.Linear"),
    layers("attention of torch", V + "y: {kind: torch.nn.MultiheadAttention, num_heads: 2}", "InvalidLayer", "model.yaml:5: layer 'y'", "torch.nn.MultiheadAttention is no layer by", "use the kind `attention`"),
    layers("os.system", V + "y: {kind: os.system, command: id}", "InvalidLayer", "model.yaml:5: layer 'y'", "'os.system' is no nn.Module class, and nothing else is"),
    layers("subprocess.Popen", V + "y: {kind: subprocess.Popen, args: [id]}", "InvalidLayer", "model.yaml:5: layer 'y'", "'subprocess.Popen' is no nn.Module class, and nothing"),
    layers("a class that is not imported", V + "y: {kind: antigravity.Layer}", "InvalidLayer", "model.yaml:5: layer 'y'", "'antigravity.Layer'", "import it before, or run `layerwise … --code FILE.py`"),
    layers("builtins.eval", V + "y: {kind: builtins.eval}", "InvalidLayer", "model.yaml:5: layer 'y'", "'builtins.eval' is no nn.Module class, and nothing else"),
    layers("a private place", V + "y: {kind: torch.nn.Linear.__init__}", "InvalidLayer", "model.yaml:5: layer 'y'", "no layer 'torch.nn.Linear.__init__'", "Did you mean 'torch.nn.Linear'"),
    layers("a class inside a function", V + "y: {kind: mine.make.<locals>.Net}", "InvalidLayer", "model.yaml:5: layer 'y'", "mine.make.<locals>.Net is defined inside a", "define it at a module's top level"),
    layers("a kind of 10 kB", V + f"y: {{kind: {'x' * 10_000}}}", "InvalidLayer", "model.yaml:5: layer 'y'", "no kind 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'", "There is: add, attention, augment,"),
    layers("a kind with control characters", V + 'y: {kind: "sc\\e[31male"}', "InvalidLayer", "model.yaml:5: layer 'y'", "no kind 'sc\\x1b[31male'", "Did you mean 'scale'"),
    layers("an empty kind", V + 'y: {kind: ""}', "InvalidLayer", "model.yaml:5: layer 'y'", "no kind ''", "There is: add, attention, augment,"),
    layers("a version that is not there", X + "y: {kind: scale.v9}", "InvalidLayer", "model.yaml:5: layer 'y'", "no version 9 of 'scale'", "there is v1"),
    layers("version 0", X + "y: {kind: scale.v0}", "InvalidLayer", "model.yaml:5: layer 'y'", "no version 0 of 'scale'", "there is v1"),
    layers("a version of torch's class", V + "y: {kind: torch.nn.Linear.v1, out_features: 3}", "InvalidLayer", "model.yaml:5: layer 'y'", "no kind 'torch.nn.Linear.v1'", "Did you mean 'torch.nn.Linear'"),
    layers("unknown option", X + "y: {kind: scale, bi: 2}", "InvalidLayer", "model.yaml:5: layer 'y'", "no option 'bi'", "There is: by, shift."),
    layers("unknown option of torch's class", V + "y: {kind: torch.nn.Linear, out_feature: 3}", "InvalidLayer", "model.yaml:5: layer 'y'", "no option 'out_feature'", "Did you mean 'out_features'"),
    layers("option on another line", X + "y:\n  kind: scale\n  shift: 1\n  bi: 2", "InvalidLayer", "model.yaml:8: layer 'y'", "no option 'bi'", "There is: by, shift."),
    layers("option of 10 kB", X + f"y: {{kind: scale, {'b' * 900}: 2}}", "InvalidLayer", "model.yaml:5: layer 'y'", "There is: by, shift."),
    layers("an option where there are none", X + "y: {kind: join, by: 2}", "InvalidLayer", "model.yaml:5: layer 'y'", "there is no option 'by'. It takes none."),
    layers("missing option", "x: {kind: column}", "InvalidLayer", "model.yaml:4: layer 'x'", "'column'", "…"),
    layers("missing option of torch's class", V + "y: {kind: torch.nn.Linear}", "InvalidLayer", "model.yaml:5: layer 'y'", "'out_features'", "…"),
    layers("missing target", V + "y: {kind: classes}", "InvalidLayer", "model.yaml:5: layer 'y'", "'target'", "…"),
    layers("text for a number", X + "y: {kind: scale, by: sixteen}", "InvalidLayer", "model.yaml:5: layer 'y'", "is 'sixteen'", "expected a number"),
    layers("true for a number", X + "y: {kind: scale, by: true}", "InvalidLayer", "model.yaml:5: layer 'y'", "is True", "expected a number"),
    layers("a list for a number", X + "y: {kind: scale, by: [1, 2]}", "InvalidLayer", "model.yaml:5: layer 'y'", "is [1, 2]", "expected a number"),
    layers("nothing for a text", "x: {kind: column, column: }", "InvalidLayer", "model.yaml:4: layer 'x'", "is nothing", "expected a text"),
    layers("a fraction for a whole number", V + "y: {kind: torch.nn.Linear, out_features: 3.5}", "InvalidLayer", "model.yaml:5: layer 'y'", "is 3.5", "expected a whole number"),
    layers("text for a shape", "x: {kind: column, column: vector, shape: 4x4}", "InvalidLayer", "model.yaml:4: layer 'x'", "is '4x4'", "expected a list of whole numbers or nothing"),
    layers("a choice that is none", X + "y: {kind: standardize, per: colum}", "InvalidLayer", "model.yaml:5: layer 'y'", "is 'colum'", "expected 'feature' or 'channel' or 'all' or 'row'"),
    layers("scale by 0", X + "y: {kind: scale, by: 0}", "InvalidLayer", "model.yaml:5: layer 'y'", "is 0", "values cannot be divided by it"),
    layers("clip to nothing", X + "y: {kind: clip}", "InvalidLayer", "model.yaml:5: layer 'y'", "'low'", "give one or both"),
    layers("clip from above to below", X + "y: {kind: clip, low: 2, high: 1}", "InvalidLayer", "model.yaml:5: layer 'y'", "'low'", "low must not be above high"),
    layers("a shape of 0", "x: {kind: column, column: vector, shape: [0]}", "InvalidLayer", "model.yaml:4: layer 'x'", "'shape'", "every size must be 1 or more"),
    layers("out_features of 0", V + "y: {kind: torch.nn.Linear, out_features: 0}", "InvalidLayer", "model.yaml:5: layer 'y'", "is 0", "expected 1 or more"),
    layers("out_features below 0", V + "y: {kind: torch.nn.Linear, out_features: -3}", "InvalidLayer", "model.yaml:5: layer 'y'", "is -3", "expected 1 or more"),
    layers("a kernel of 0", "x: {kind: column, column: pixels}\n"
           "y: {kind: torch.nn.Conv2d, out_channels: 3, kernel_size: [3, 0]}", "InvalidLayer", "model.yaml:5: layer 'y'", "is [3, 0]", "expected 1 or more"),
    layers("a stride of 0", "x: {kind: column, column: pixels}\n"
           "y: {kind: torch.nn.MaxPool2d, kernel_size: 2, stride: 0}", "InvalidLayer", "model.yaml:5: layer 'y'", "is 0", "expected 1 or more"),
    layers("a column that looks like a file", "x: {kind: column, column: 'file:///etc/passwd'}", "InvalidData", "model.yaml:4: layer 'x'", "no column 'file:///etc/passwd'", "There is: bytes, flag, gaps, holes,"),
    layers("a column that looks like an address", "x: {kind: column, column: 'http://127.0.0.1:1/x'}", "InvalidData", "model.yaml:4: layer 'x'", "no column 'http://127.0.0.1:1/x'", "There is: bytes, flag, gaps, holes,"),
    layers("dropout above 1", V + "y: {kind: torch.nn.Dropout, p: 1.5}", "InvalidLayer", "model.yaml:5: layer 'y'", "torch.nn.Dropout says", "dropout probability has to be between 0 and 1, but got 1.5"),
    layers("unknown activation", V + "y: {kind: torch.nn.Linear, out_features: 3, activation: rleu}", "InvalidLayer", "model.yaml:5: layer 'y'", "no activation 'rleu'", "Did you mean 'relu'"),
    layers("an activation that runs code", V + "y: {kind: torch.nn.Linear, out_features: 3, activation: os.system}",
           "InvalidLayer", "model.yaml:5: layer 'y'", "no activation 'os.system'", "There is: abs, atan, celu, cos, elu,"),
    layers("an activation of a number", V + "y: {kind: torch.nn.Linear, out_features: 3, activation: 3}",
           "InvalidLayer", "model.yaml:5: layer 'y'", "is 3", "expected the name of one, e.g. 'relu'"),
    layers("device as an option", V + "y: {kind: torch.nn.Linear, out_features: 3, device: cuda}", "InvalidLayer", "model.yaml:5: layer 'y'", "'device'", "leave it out"),
    layers("inplace", V + "y: {kind: torch.nn.ReLU, inplace: true}", "InvalidLayer", "model.yaml:5: layer 'y'", "'inplace'", "leave it out"),
    layers("groups that do not divide", "x: {kind: column, column: pixels}\n"
           "y: {kind: torch.nn.Conv2d, out_channels: 3, kernel_size: 3, groups: 2}", "InvalidLayer", "model.yaml:5: layer 'y'", "torch.nn.Conv2d says", "in_channels must be divisible by groups"),
    layers("an even worse padding", "x: {kind: column, column: pixels}\n"
           "y: {kind: torch.nn.Conv2d, out_channels: 3, kernel_size: 3, padding: sam}", "InvalidLayer", "model.yaml:5: layer 'y'", "torch.nn.Conv2d says", "Invalid padding string 'sam', should be one of {'valid',"),
    layers("a GRU of no size", "x: {kind: column, column: steps}\ny: {kind: torch.nn.GRU, hidden_size: 0}",
           "InvalidLayer", "model.yaml:5: layer 'y'", "is 0", "expected 1 or more"),
    layers("not batch first", "x: {kind: column, column: steps}\n"
           "y: {kind: torch.nn.GRU, hidden_size: 3, batch_first: false}", "InvalidLayer", "model.yaml:5: layer 'y'", "'batch_first'", "values are batch-first everywhere: leave it out"),
    layers("labels twice", V + "y: {kind: classes, target: label, labels: [yes, yes]}", "InvalidLayer", "model.yaml:5: layer 'y'", "'labels'", "name each label once"),
    layers("labels of two types", V + "y: {kind: classes, target: label, labels: [yes, 1]}", "InvalidLayer", "model.yaml:5: layer 'y'", "'labels'", "in YAML, quote a label that is a text"),
    layers("no labels", V + "y: {kind: classes, target: label, labels: []}", "InvalidLayer", "model.yaml:5: layer 'y'", "'labels'", "name the labels in order, or leave it out"),
    layers("weights below 0", V + "y: {kind: classes, target: label, weights: {yes: -1}}", "InvalidLayer", "model.yaml:5: layer 'y'", "is -1", "expected a number, 0 or more"),
    layers("smoothing of 1", V + "y: {kind: classes, target: label, smoothing: 1}", "InvalidLayer", "model.yaml:5: layer 'y'", "is 1.0", "expected a share from 0 to below 1"),
    layers("a threshold of 2", V + "y: {kind: labels, target: tags, threshold: 2}", "InvalidLayer", "model.yaml:5: layer 'y'", "is 2.0", "expected a probability between 0 and 1"),
    layers("an empty target", V + 'y: {kind: classes, target: ""}', "InvalidLayer", "model.yaml:5: layer 'y'", "'target'", "name the column that holds the truth"),
    layers("an objective that is none", V + "y: {kind: value, target: number, objective: msee}", "InvalidLayer", "model.yaml:5: layer 'y'", "is 'msee'", "expected 'mse' or 'mae' or 'huber'"),
    layers("categories none", "x: {kind: column, column: three}\ny: {kind: one_hot, values: []}", "InvalidLayer", "model.yaml:5: layer 'y'", "is []", "expected one or more, none twice"),
    layers("a user's kind that is not in the program", V + "y: {kind: mine.Net}", "InvalidLayer", "model.yaml:5: layer 'y'", "'mine.Net'", "import it before, or run `layerwise … --code FILE.py`"),
    python("an instance of a module", lambda b: lw.Layer("x", nn.Linear(2, 3)), "InvalidLayer", "layer 'x'", "a kind is a class, a kind with options or a", "found an instance of Linear. Use lw.wrap(module, example)"),  # type: ignore[arg-type]
    python("a function as a kind", lambda b: lw.Layer("x", torch.relu), "InvalidLayer", "layer 'x'", "a kind is a class, a kind with options or a", "found the function '_VariableFunctionsClass.relu'. Write"),  # type: ignore[arg-type]
    python("options beside a kind that has them", lambda b: lw.Layer("x", lw.Scale(by=2), shift=1), "InvalidLayer", "layer 'x'", "the kind has its options already", "found 'shift' beside it"),
    python("an option in Python of a wrong type", lambda b: lw.Scale(by="16"), "InvalidLayer", "is '16'", "expected a number"),  # type: ignore[arg-type]
    python("NaN as an option", lambda b: lw.Layer("x", lw.Scale(by=float("nan"))), "InvalidLayer", "is nan", "expected a number"),
    python("infinity as an option", lambda b: lw.Layer("x", lw.Clip(low=float("-inf"))), "InvalidLayer", "is -inf", "expected a number or nothing"),
    python("a tensor as an option", lambda b: lw.Layer("x", nn.Linear, out_features=torch.ones(2)), "InvalidLayer", "layer 'x'", "is tensor([1., 1.])", "expected a whole number"),
    python("a lambda as a function", lambda b: lw.function(lambda x: x), "InvalidLayer", "found again by its name", "write it with `def` and a name at the top level of a"),
    python("an object that is no module to wrap", lambda b: lw.wrap("net", torch.ones(2)), "InvalidLayer", "expected an nn.Module instance, found 'net'"),  # type: ignore[arg-type]
    python("a kind with an option that every layer has", lambda b: lw.register("owned")(Owned), "InvalidLayer", "'owned'", "rename the field"),
    python("a kind whose name is a path", lambda b: lw.register("../x"), "InvalidLayer", "'../x'", "expected a letter, then letters, digits, '_', '-' and"),
    python("a kind whose name has a version", lambda b: lw.register("scale.v2"), "InvalidLayer", "'scale.v2'", "expected a letter, then letters, digits, '_', '-' and"),
    python("a kind of version 0", lambda b: lw.register("mine", 0), "InvalidLayer", "is 0", "expected a whole number from 1"),
    python("a kind that is taken", lambda b: lw.register("scale")(lw.Clip), "InvalidLayer", "the kind scale.v1 is Scale already", "use another name or version"),
    command("kinds of nothing", ["kinds", "standardise"], "InvalidLayer", "no kind 'standardise'", "Did you mean 'standardize'"),
]
