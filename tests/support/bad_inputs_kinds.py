"""Bad kinds and options: unknown, missing, of a wrong type, out of range, and names that would run code."""

from __future__ import annotations

import torch
from torch import nn

import layerwise as lw
from tests.support.bad_inputs import Bad, command, layers, python

X = "x: {kind: column, column: number}\n"
V = "x: {kind: column, column: vector}\n"

ROWS: list[Bad] = [
    layers("unknown kind", X + "y: {kind: standardise}", "InvalidLayer"),
    layers("unknown kind, nothing near", X + "y: {kind: qqqq}", "InvalidLayer"),
    layers("a kind as others call it", V + "y: {kind: dense, out_features: 3}", "InvalidLayer"),
    layers("kind in capitals", X + "y: {kind: Scale}", "InvalidLayer"),
    layers("unknown class of torch.nn", V + "y: {kind: torch.nn.Linaer, out_features: 3}", "InvalidLayer"),
    layers("a function of torch", V + "y: {kind: torch.load, f: x}", "InvalidLayer"),
    layers("a class of torch outside nn", V + "y: {kind: torch.Tensor}", "InvalidLayer"),
    layers("a deep path in torch", V + "y: {kind: torch.nn.modules.linear.Linear, out_features: 3}", "InvalidLayer"),
    layers("a loss", V + "y: {kind: torch.nn.CrossEntropyLoss}", "InvalidLayer"),
    layers("a container", V + "y: {kind: torch.nn.Sequential}", "InvalidLayer"),
    layers("a list of modules", V + "y: {kind: torch.nn.ModuleList}", "InvalidLayer"),
    layers("a lazy module", V + "y: {kind: torch.nn.LazyLinear, out_features: 3}", "InvalidLayer"),
    layers("attention of torch", V + "y: {kind: torch.nn.MultiheadAttention, num_heads: 2}", "InvalidLayer"),
    layers("os.system", V + "y: {kind: os.system, command: id}", "InvalidLayer"),
    layers("subprocess.Popen", V + "y: {kind: subprocess.Popen, args: [id]}", "InvalidLayer"),
    layers("a class that is not imported", V + "y: {kind: antigravity.Layer}", "InvalidLayer"),
    layers("builtins.eval", V + "y: {kind: builtins.eval}", "InvalidLayer"),
    layers("a private place", V + "y: {kind: torch.nn.Linear.__init__}", "InvalidLayer"),
    layers("a class inside a function", V + "y: {kind: mine.make.<locals>.Net}", "InvalidLayer"),
    layers("a kind of 10 kB", V + f"y: {{kind: {'x' * 10_000}}}", "InvalidLayer"),
    layers("a kind with control characters", V + 'y: {kind: "sc\\e[31male"}', "InvalidLayer"),
    layers("an empty kind", V + 'y: {kind: ""}', "InvalidLayer"),
    layers("a version that is not there", X + "y: {kind: scale.v9}", "InvalidLayer"),
    layers("version 0", X + "y: {kind: scale.v0}", "InvalidLayer"),
    layers("a version of torch's class", V + "y: {kind: torch.nn.Linear.v1, out_features: 3}", "InvalidLayer"),
    layers("unknown option", X + "y: {kind: scale, bi: 2}", "InvalidLayer"),
    layers("unknown option of torch's class", V + "y: {kind: torch.nn.Linear, out_feature: 3}", "InvalidLayer"),
    layers("option on another line", X + "y:\n  kind: scale\n  shift: 1\n  bi: 2", "InvalidLayer"),
    layers("option of 10 kB", X + f"y: {{kind: scale, {'b' * 900}: 2}}", "InvalidLayer"),
    layers("an option where there are none", X + "y: {kind: join, by: 2}", "InvalidLayer"),
    layers("missing option", "x: {kind: column}", "InvalidLayer"),
    layers("missing option of torch's class", V + "y: {kind: torch.nn.Linear}", "InvalidLayer"),
    layers("missing target", V + "y: {kind: classes}", "InvalidLayer"),
    layers("text for a number", X + "y: {kind: scale, by: sixteen}", "InvalidLayer"),
    layers("true for a number", X + "y: {kind: scale, by: true}", "InvalidLayer"),
    layers("a list for a number", X + "y: {kind: scale, by: [1, 2]}", "InvalidLayer"),
    layers("nothing for a text", "x: {kind: column, column: }", "InvalidLayer"),
    layers("a fraction for a whole number", V + "y: {kind: torch.nn.Linear, out_features: 3.5}", "InvalidLayer"),
    layers("a number too large for a float", X + f"y: {{kind: scale, by: {'9' * 39}}}", "InvalidLayer"),
    layers("text for a shape", "x: {kind: column, column: vector, shape: 4x4}", "InvalidLayer"),
    layers("a choice that is none", X + "y: {kind: standardize, per: colum}", "InvalidLayer"),
    layers("scale by 0", X + "y: {kind: scale, by: 0}", "InvalidLayer"),
    layers("clip to nothing", X + "y: {kind: clip}", "InvalidLayer"),
    layers("clip from above to below", X + "y: {kind: clip, low: 2, high: 1}", "InvalidLayer"),
    layers("a shape of 0", "x: {kind: column, column: vector, shape: [0]}", "InvalidLayer"),
    layers("out_features of 0", V + "y: {kind: torch.nn.Linear, out_features: 0}", "InvalidLayer"),
    layers("out_features below 0", V + "y: {kind: torch.nn.Linear, out_features: -3}", "InvalidLayer"),
    layers("a million million weights", V + "y: {kind: torch.nn.Linear, out_features: 1000000000000}\n"
           "z: {kind: classes, target: label}", "InvalidLayer"),
    layers("dropout above 1", V + "y: {kind: torch.nn.Dropout, p: 1.5}", "InvalidLayer"),
    layers("unknown activation", V + "y: {kind: torch.nn.Linear, out_features: 3, activation: rleu}", "InvalidLayer"),
    layers("an activation that runs code", V + "y: {kind: torch.nn.Linear, out_features: 3, activation: os.system}",
           "InvalidLayer"),
    layers("an activation of a number", V + "y: {kind: torch.nn.Linear, out_features: 3, activation: 3}",
           "InvalidLayer"),
    layers("device as an option", V + "y: {kind: torch.nn.Linear, out_features: 3, device: cuda}", "InvalidLayer"),
    layers("inplace", V + "y: {kind: torch.nn.ReLU, inplace: true}", "InvalidLayer"),
    layers("groups that do not divide", "x: {kind: column, column: pixels}\n"
           "y: {kind: torch.nn.Conv2d, out_channels: 3, kernel_size: 3, groups: 2}", "InvalidLayer"),
    layers("an even worse padding", "x: {kind: column, column: pixels}\n"
           "y: {kind: torch.nn.Conv2d, out_channels: 3, kernel_size: 3, padding: sam}", "InvalidLayer"),
    layers("a GRU of no size", "x: {kind: column, column: steps}\ny: {kind: torch.nn.GRU, hidden_size: 0}",
           "InvalidLayer"),
    layers("not batch first", "x: {kind: column, column: steps}\n"
           "y: {kind: torch.nn.GRU, hidden_size: 3, batch_first: false}", "InvalidLayer"),
    layers("labels twice", V + "y: {kind: classes, target: label, labels: [yes, yes]}", "InvalidLayer"),
    layers("labels of two types", V + "y: {kind: classes, target: label, labels: [yes, 1]}", "InvalidLayer"),
    layers("no labels", V + "y: {kind: classes, target: label, labels: []}", "InvalidLayer"),
    layers("weights below 0", V + "y: {kind: classes, target: label, weights: {yes: -1}}", "InvalidLayer"),
    layers("smoothing of 1", V + "y: {kind: classes, target: label, smoothing: 1}", "InvalidLayer"),
    layers("a threshold of 2", V + "y: {kind: labels, target: tags, threshold: 2}", "InvalidLayer"),
    layers("an empty target", V + 'y: {kind: classes, target: ""}', "InvalidLayer"),
    layers("an objective that is none", V + "y: {kind: value, target: number, objective: msee}", "InvalidLayer"),
    layers("categories none", "x: {kind: column, column: three}\ny: {kind: one_hot, values: []}", "InvalidLayer"),
    layers("a user's kind that is not in the program", V + "y: {kind: mine.Net}", "InvalidLayer"),
    python("an instance of a module", lambda b: lw.Layer("x", nn.Linear(2, 3)), "InvalidLayer"),  # type: ignore[arg-type]
    python("a function as a kind", lambda b: lw.Layer("x", torch.relu), "InvalidLayer"),  # type: ignore[arg-type]
    python("options beside a kind that has them", lambda b: lw.Layer("x", lw.Scale(by=2), shift=1), "InvalidLayer"),
    python("an option in Python of a wrong type", lambda b: lw.Scale(by="16"), "InvalidLayer"),  # type: ignore[arg-type]
    python("NaN as an option", lambda b: lw.Layer("x", lw.Scale(by=float("nan"))), "InvalidLayer"),
    python("infinity as an option", lambda b: lw.Layer("x", lw.Clip(low=float("-inf"))), "InvalidLayer"),
    python("a tensor as an option", lambda b: lw.Layer("x", nn.Linear, out_features=torch.ones(2)), "InvalidLayer"),
    python("a lambda as a function", lambda b: lw.function(lambda x: x), "InvalidLayer"),
    python("an object that is no module to wrap", lambda b: lw.wrap("net", torch.ones(2)), "InvalidLayer"),  # type: ignore[arg-type]
    command("kinds of nothing", ["kinds", "standardise"], "InvalidLayer"),
]
