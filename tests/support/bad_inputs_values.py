"""Bad values and settings: labels never seen, missing numbers, and trainings that cannot be."""

from __future__ import annotations

from typing import Any

import layerwise as lw
from tests.support.bad_inputs import Bad, Bench, file, layers, python
from tests.support.flowers import small

V = "v: {kind: column, column: vector}\n"
LINEAR = "scores: {kind: torch.nn.Linear, out_features: 2}\n"
ONE = "scores: {kind: torch.nn.Linear, out_features: 1}\n"
END = "end: {kind: classes, target: label}\n"
GOOD = V + LINEAR + END
BY_PART = "epochs: 1, split: {by: column, column: part}"


def _numbers(column: str, more: str = "") -> str:
    return f"x: {{kind: column, column: {column}}}\n{more}j: {{kind: join}}\n{LINEAR}{END}"


def _train(text: str) -> str:
    body = "".join(f"  {line}\n" for line in GOOD.splitlines())
    return f"model: bad\ndata: things\nlayers:\n{body}train:\n" + "".join(f"  {line}\n" for line in text.splitlines())


def _ask(rows: Any) -> Any:
    return lambda bench: lw.load("flower", repo=bench.repo).predict(rows)


def _setting(**settings: Any) -> Any:
    def train(bench: Bench) -> object:
        return lw.train(small(), repo=bench.repo, **settings)

    return train


ROW: dict[str, Any] = {"length": 5.0, "width": 3.0, "colour": "red"}

ROWS: list[Bad] = [
    layers("a label only validation has", "x: {kind: column, column: x}\nj: {kind: join}\n" + LINEAR + END, "InvalidData",
           data="parts", train=BY_PART),
    layers("a category only validation has", "c: {kind: column, column: colour}\no: {kind: one_hot}\n" + LINEAR
           + "end: {kind: classes, target: fine}", "InvalidData", data="parts", train=BY_PART),
    layers("a target with gaps", V + LINEAR + "end: {kind: classes, target: holes}", "InvalidData"),
    layers("a value with gaps", V + ONE + "end: {kind: value, target: gaps}", "InvalidData"),
    layers("a value of NaN", V + ONE + "end: {kind: value, target: nan}", "InvalidData"),
    layers("a value of text", V + ONE + "end: {kind: value, target: label}", "InvalidData"),
    layers("classes of fractions", V + LINEAR + "end: {kind: classes, target: number}", "InvalidData"),
    layers("classes of tensors", V + LINEAR + "end: {kind: classes, target: vector}", "InvalidData"),
    layers("labels of text", V + LINEAR + "end: {kind: labels, target: label}", "InvalidData"),
    layers("one class", V + LINEAR + "end: {kind: classes, target: same}", "InvalidData"),
    layers("labels that leave one out", V + LINEAR + "end: {kind: classes, target: three, labels: [a, b]}", "InvalidData"),
    layers("a positive label that is none", V + LINEAR + "end: {kind: classes, target: label, positive: yess}", "InvalidData"),
    layers("a weight of a label that is none", V + LINEAR + "end: {kind: classes, target: label, weights: {yess: 2}}",
           "InvalidData"),
    layers("gaps without a fill", _numbers("gaps"), "InvalidData"),
    layers("NaN without a fill", _numbers("nan"), "InvalidData"),
    layers("log of negatives", _numbers("negative", "l: {kind: log}\n"), "InvalidData"),
    layers("categories of fractions", _numbers("number", "o: {kind: one_hot}\n"), "InvalidData"),
    layers("categories that are not named", _numbers("three", "o: {kind: one_hot, values: [a, b]}\n"), "InvalidData"),
    layers("missing categories", _numbers("holes", "o: {kind: one_hot}\n"), "InvalidData"),
    layers("a fill of text for numbers", _numbers("gaps", "f: {kind: fill, value: none}\n"), "InvalidShape"),
    layers("a mean of text", _numbers("text", "f: {kind: fill}\no: {kind: one_hot}\n"), "InvalidShape"),
    layers("bytes that are no image", "i: {kind: column, column: bytes}\np: {kind: image, size: [8, 8]}\n"
           "f: {kind: torch.nn.Flatten}\n" + LINEAR + END, "InvalidData"),
    layers("lists that are not padded", "l: {kind: column, column: list}\n" + LINEAR + END, "InvalidShape"),
    file("unknown setting", _train("epoch: 3"), "InvalidConfig"),
    file("epochs of text", _train("batch: 8\nepochs: three"), "InvalidConfig"),
    file("epochs of 0", _train("epochs: 0"), "InvalidConfig"),
    file("epochs below 0", _train("epochs: -3"), "InvalidConfig"),
    file("epochs of a fraction", _train("epochs: 1.5"), "InvalidConfig"),
    file("epochs true", _train("epochs: true"), "InvalidConfig"),
    file("a batch of 0", _train("batch: 0"), "InvalidConfig"),
    file("lr of 0", _train("epochs: 3\nlr: 0"), "InvalidConfig"),
    file("lr of text", _train("lr: 1e-3x"), "InvalidConfig"),
    file("a clip below 0", _train("clip: -1"), "InvalidConfig"),
    file("a seed below 0", _train("seed: -1"), "InvalidConfig"),
    file("a seed beyond 2**63", _train("seed: 9223372036854775808"), "InvalidConfig"),
    file("threads of 0", _train("threads: 0"), "InvalidConfig"),
    file("a checkpoint below 0", _train("checkpoint: -1"), "InvalidConfig"),
    file("patience of 0", _train("patience: 0"), "InvalidConfig"),
    file("keep the middle", _train("keep: middle"), "InvalidConfig"),
    file("sampling unknown", _train("sampling: balancd"), "InvalidConfig"),
    file("deterministic a text", _train("deterministic: always"), "InvalidConfig"),
    file("unknown device", _train("epochs: 1\ndevice: tpu9"), "InvalidConfig"),
    file("device of nothing", _train("device: meta"), "InvalidConfig"),
    file("device not here", _train("device: cuda:7"), "InvalidConfig"),
    file("unknown optimizer", _train("epochs: 1\noptimizer: adamm"), "InvalidConfig"),
    file("optimizer of a path", _train("optimizer: os.system"), "InvalidConfig"),
    file("optimizer without a kind", _train("optimizer: {momentum: 0.9}"), "InvalidConfig"),
    file("unknown option of the optimizer", _train("optimizer: {kind: sgd, momentun: 0.9}"), "InvalidConfig"),
    file("option of the optimizer of a wrong type", _train("optimizer: {kind: sgd, momentum: high}"), "InvalidConfig"),
    file("option of the optimizer out of range", _train("optimizer: {kind: sgd, momentum: -1}"), "InvalidConfig"),
    file("optimizer a run cannot have", _train("optimizer: lbfgs"), "InvalidConfig"),
    file("optimizer a list", _train("optimizer: [adam]"), "InvalidConfig"),
    file("unknown schedule", _train("schedule: cosineannealing"), "InvalidConfig"),
    file("schedule without its option", _train("schedule: steplr"), "InvalidConfig"),
    file("schedule of a function", _train("schedule: lambdalr"), "InvalidConfig"),
    file("unknown metric", _train("epochs: 1\nmonitor: acuracy"), "InvalidConfig"),
    file("patience without validation", _train("patience: 2\nsplit: {train: 0.9, validation: 0.0, test: 0.1}"), "InvalidConfig"),
    file("unknown split", _train("split: {by: colum}"), "InvalidConfig"),
    file("unknown field of the split", _train("split: {bye: row}"), "InvalidConfig"),
    file("split a text", _train("split: row"), "InvalidConfig"),
    file("shares over 1", _train("split: {train: 0.9, validation: 0.2, test: 0.2}"), "InvalidConfig"),
    file("a share below 0", _train("split: {train: 1.2, validation: -0.2, test: 0}"), "InvalidConfig"),
    file("a share of text", _train("split: {train: most}"), "InvalidConfig"),
    file("nothing to train on", _train("split: {train: 0, validation: 0.5, test: 0.5}"), "InvalidConfig"),
    file("split by a column that is not there", _train("split: {by: column, column: prat}"), "InvalidConfig"),
    file("split by no column", _train("split: {by: group}"), "InvalidConfig"),
    file("split by a column of other words", _train("split: {by: column, column: three}"), "InvalidConfig"),
    file("split by tensors", _train("split: {by: group, column: vector}"), "InvalidConfig"),
    file("split by gaps", _train("split: {by: group, column: holes}"), "InvalidConfig"),
    file("values without a column split", _train("split: {values: {train: [a]}}"), "InvalidConfig"),
    file("a value of two parts", _train("split: {by: column, column: three, values: {train: [a, b, c], test: [a]}}"),
         "InvalidConfig"),
    file("a part that is none", _train("split: {by: column, column: three, values: {trian: [a, b, c]}}"), "InvalidConfig"),
    layers("an empty train split", "x: {kind: column, column: x}\nj: {kind: join}\n" + LINEAR + "end: {kind: classes, target: fine}",
           "InvalidConfig", data="parts", train="epochs: 1, split: {by: column, column: tested}"),
    layers("a part misspelt in the data", "x: {kind: column, column: x}\nj: {kind: join}\n" + LINEAR + "end: {kind: classes, target: fine}",
           "InvalidConfig", data="parts", train="epochs: 1, split: {by: column, column: odd}"),
    python("a setting in Python", _setting(epoch=3), "InvalidConfig"),
    python("NaN as a setting", _setting(lr=float("nan")), "InvalidConfig"),
    python("a model that is none", lambda b: lw.train("flower", "flowers", repo=b.repo), "InvalidGraph"),  # type: ignore[arg-type]
    python("data that is none", lambda b: lw.train(small(), 3, repo=b.repo), "InvalidName"),  # type: ignore[arg-type]
    python("a table as data", lambda b: lw.train(small(), {"length": [1.0]}, repo=b.repo), "InvalidName"),  # type: ignore[arg-type]
    python("predict: a column missing", _ask({"length": 5.0, "width": 3.0}), "InvalidData"),
    python("predict: a category never seen", _ask({**ROW, "colour": "reed"}), "InvalidData"),
    python("predict: a number missing", _ask({**ROW, "length": None}), "InvalidData"),
    python("predict: NaN", _ask({**ROW, "length": float("nan")}), "InvalidData"),
    python("predict: infinity", _ask({**ROW, "length": float("inf")}), "InvalidData"),
    python("predict: text for a number", _ask({**ROW, "length": "long"}), "InvalidShape"),
    python("predict: a number for text", _ask({**ROW, "colour": 3}), "InvalidData"),
    python("predict: nothing", _ask([]), "InvalidData"),
    python("predict: a number", _ask(3), "InvalidData"),
    python("predict: a list for a number", _ask({**ROW, "length": [[1.0, 2.0]], "width": [3.0], "colour": ["red"]}),
           "InvalidShape"),
    python("trace: two rows", lambda b: lw.load("flower", repo=b.repo).trace([ROW, ROW]), "InvalidData"),
    python("evaluate: another dataset", lambda b: lw.load("flower", repo=b.repo).evaluate("things"), "InvalidData"),
    python("evaluate: a split that is none", lambda b: lw.load("flower", repo=b.repo).evaluate(split="tset"), "NotFound"),
]
