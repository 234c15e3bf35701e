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

# fmt: off
ROWS: list[Bad] = [
    layers("a label only validation has", "x: {kind: column, column: x}\nj: {kind: join}\n" + LINEAR + END,
        "InvalidData", "model.yaml:7: layer 'end'", "'yess'", "Did you mean 'yes'", data="parts", train=BY_PART),
    layers("a category only validation has",
        "c: {kind: column, column: colour}\no: {kind: one_hot}\n" + LINEAR + "end: {kind: classes, target: fine}",
        "InvalidData", "model.yaml:5: layer 'o'", "'blu'", "Did you mean 'blue'", data="parts", train=BY_PART),
    layers("a target with gaps", V + LINEAR + "end: {kind: classes, target: holes}", "InvalidData",
        "model.yaml:6: layer 'end'", "'holes'", "leave those rows out, or give them a value in the dataset"),
    layers("a value with gaps", V + ONE + "end: {kind: value, target: gaps}", "InvalidData",
        "model.yaml:6: layer 'end'", "'gaps'", "leave those rows out, or give them a value in the dataset"),
    layers("a value of NaN", V + ONE + "end: {kind: value, target: nan}", "InvalidData", "model.yaml:6: layer 'end'",
        "'nan'", "leave those rows out, or give them a value in the dataset"),
    layers("a value of text", V + ONE + "end: {kind: value, target: label}", "InvalidData",
        "model.yaml:6: layer 'end'", "'label'", "a value is a number. Cast it, or answer with the kind"),
    layers("classes of fractions", V + LINEAR + "end: {kind: classes, target: number}", "InvalidData",
        "model.yaml:6: layer 'end'", "'number'", "labels are text, whole numbers or truth values. Cast the"),
    layers("classes of tensors", V + LINEAR + "end: {kind: classes, target: vector}", "InvalidData",
        "model.yaml:6: layer 'end'", "'vector'", "labels are text, whole numbers or truth values. Cast the"),
    layers("labels of text", V + LINEAR + "end: {kind: labels, target: label}", "InvalidData",
        "model.yaml:6: layer 'end'", "'label'", "several labels a row are a column of lists. Split it into"),
    layers("one class", V + LINEAR + "end: {kind: classes, target: same}", "InvalidData", "model.yaml:6: layer 'end'",
        "'same'", "expected two labels or more. Use a column that tells rows"),
    layers("labels that leave one out", V + LINEAR + "end: {kind: classes, target: three, labels: [a, b]}",
        "InvalidData", "model.yaml:6: layer 'end'", "'c'", "There is: a, b. Correct it, or train"),
    layers("a positive label that is none", V + LINEAR + "end: {kind: classes, target: label, positive: yess}",
        "InvalidData", "model.yaml:6: layer 'end'", "'positive'", "Did you mean 'yes'"),
    layers("a weight of a label that is none", V + LINEAR + "end: {kind: classes, target: label, weights: {yess: 2}}",
        "InvalidData", "model.yaml:6: layer 'end'", "'weights'", "Did you mean 'yes'"),
    layers("gaps without a fill", _numbers("gaps"), "InvalidData", "model.yaml:5: layer 'j'",
        "8 of the 40 values that leave it are", "put a `fill` layer before it (for missing values), or a"),
    layers("NaN without a fill", _numbers("nan"), "InvalidData", "model.yaml:5: layer 'j'",
        "6 of the 40 values that leave it are", "put a `fill` layer before it (for missing values), or a"),
    layers("log of negatives", _numbers("negative", "l: {kind: log}\n"), "InvalidData", "model.yaml:5: layer 'l'",
        "40 rows of 40 hold a value of -1 or less,", "log(x + 1) is not defined there: raise `offset` or put a"),
    layers("categories of fractions", _numbers("number", "o: {kind: one_hot}\n"), "InvalidData",
        "model.yaml:5: layer 'o'", "32 values have a fraction, the first is",
        "categories are text or whole numbers: put a `bucket`"),
    layers("categories that are not named", _numbers("three", "o: {kind: one_hot, values: [a, b]}\n"), "InvalidData",
        "model.yaml:5: layer 'o'", "'c'", "There is: a, b. Say unknown: other to"),
    layers("missing categories", _numbers("holes", "o: {kind: one_hot}\n"), "InvalidData", "model.yaml:5: layer 'o'",
        "7 values of 40 are missing", "put a `fill` layer before this one, or say missing: own"),
    layers("a fill of text for numbers", _numbers("gaps", "f: {kind: fill, value: none}\n"), "InvalidShape",
        "model.yaml:5: layer 'f'", "'none'", "give a number"),
    layers("a mean of text", _numbers("text", "f: {kind: fill}\no: {kind: one_hot}\n"), "InvalidShape",
        "model.yaml:5: layer 'f'", "its input is text, which value: mean does",
        "take most_frequent or a text of your own"),
    layers("bytes that are no image",
        "i: {kind: column, column: bytes}\np: {kind: image, size: [8, 8]}\nu: {kind: scale, by: 255}\n"
        "f: {kind: torch.nn.Flatten}\n" + LINEAR + END,
        "InvalidData", "model.yaml:5: layer 'p'", "row 0 holds 12 bytes that are no image",
        "expected PNG, JPEG, WEBP, GIF, BMP, TIFF of at most"),
    layers("lists that are not padded", "l: {kind: column, column: list}\n" + LINEAR + END, "InvalidShape",
        "model.yaml:5: layer 'scores'", "'l'", "encode it first (category, one_hot, vocabulary, image …)"),
    file("unknown setting", _train("epoch: 3"), "InvalidConfig", "model.yaml:8:", "no training setting 'epoch'",
        "Did you mean 'epochs'"),
    file("epochs of text", _train("batch: 8\nepochs: three"), "InvalidConfig", "model.yaml:9: train:", "is 'three'",
        "expected a whole number"),
    file("epochs of 0", _train("epochs: 0"), "InvalidConfig", "model.yaml:8: train:", "is 0", "expected more than 0"),
    file("epochs below 0", _train("epochs: -3"), "InvalidConfig", "model.yaml:8: train:", "is -3",
        "expected more than 0"),
    file("epochs of a fraction", _train("epochs: 1.5"), "InvalidConfig", "model.yaml:8: train:", "is 1.5",
        "expected a whole number"),
    file("epochs true", _train("epochs: true"), "InvalidConfig", "model.yaml:8: train:", "is True",
        "expected a whole number"),
    file("a batch of 0", _train("batch: 0"), "InvalidConfig", "model.yaml:8: train:", "is 0", "expected more than 0"),
    file("lr of 0", _train("epochs: 3\nlr: 0"), "InvalidConfig", "model.yaml:9: train:", "is 0.0",
        "expected more than 0"),
    file("lr of text", _train("lr: 1e-3x"), "InvalidConfig", "model.yaml:8: train:", "is '1e-3x'",
        "expected a number"),
    file("a clip below 0", _train("clip: -1"), "InvalidConfig", "model.yaml:8: train:", "is -1.0",
        "expected more than 0"),
    file("a seed below 0", _train("seed: -1"), "InvalidConfig", "model.yaml:8: train:", "is -1",
        "expected 0 to 2**63 - 1"),
    file("a seed beyond 2**63", _train("seed: 9223372036854775808"), "InvalidConfig", "model.yaml:8: train:",
        "is 9223372036854775808", "expected 0 to 2**63 - 1"),
    file("threads of 0", _train("threads: 0"), "InvalidConfig", "model.yaml:8: train:", "is 0",
        "expected more than 0"),
    file("a checkpoint below 0", _train("checkpoint: -1"), "InvalidConfig", "model.yaml:8: train:", "is -1.0",
        "expected 0 or more seconds"),
    file("patience of 0", _train("patience: 0"), "InvalidConfig", "model.yaml:8: train:", "is 0",
        "expected more than 0"),
    file("keep the middle", _train("keep: middle"), "InvalidConfig", "model.yaml:8: train:", "is 'middle'",
        "expected 'best' or 'last'"),
    file("sampling unknown", _train("sampling: balancd"), "InvalidConfig", "model.yaml:8: train:", "is 'balancd'",
        "expected 'balanced' or nothing"),
    file("deterministic a text", _train("deterministic: always"), "InvalidConfig", "model.yaml:8: train:",
        "is 'always'", "expected true or false"),
    file("unknown device", _train("epochs: 1\ndevice: tpu9"), "InvalidConfig", "model.yaml:9: train: device:",
        "'tpu9'", "use auto or cpu"),
    file("device of nothing", _train("device: meta"), "InvalidConfig", "model.yaml:8: train: device:", "'meta'",
        "use auto or cpu"),
    file("device not here", _train("device: cuda:7"), "InvalidConfig", "model.yaml:8: train: device:", "'cuda:7'",
        "use auto or cpu"),
    file("unknown optimizer", _train("epochs: 1\noptimizer: adamm"), "InvalidConfig",
        "model.yaml:9: train: optimizer:", "no optimizer 'adamm'", "Did you mean 'Adam'"),
    file("optimizer of a path", _train("optimizer: os.system"), "InvalidConfig", "model.yaml:8: train: optimizer:",
        "no optimizer 'os.system'", "There is: ASGD, Adadelta, Adafactor,"),
    file("optimizer without a kind", _train("optimizer: {momentum: 0.9}"), "InvalidConfig",
        "model.yaml:8: train: optimizer:", "is {'momentum': 0.9}", "expected a name, or a mapping with kind: NAME"),
    file("unknown option of the optimizer", _train("optimizer: {kind: sgd, momentun: 0.9}"), "InvalidConfig",
        "model.yaml:8: train: optimizer:", "no option 'momentun'", "Did you mean 'momentum'"),
    file("option of the optimizer of a wrong type", _train("optimizer: {kind: sgd, momentum: high}"), "InvalidConfig",
        "model.yaml:8: train: optimizer:", "is 'high'", "expected a number"),
    file("option of the optimizer out of range", _train("optimizer: {kind: sgd, momentum: -1}"), "InvalidConfig",
        "model.yaml:8: train: optimizer:", "'momentum=-1.0'", "-1.0"),
    file("optimizer a run cannot have", _train("optimizer: lbfgs"), "InvalidConfig",
        "model.yaml:8: train: optimizer:", "the optimizer LBFGS is not taken: it runs", "use Adam or SGD"),
    file("optimizer a list", _train("optimizer: [adam]"), "InvalidConfig", "model.yaml:8: train:", "is ['adam']",
        "expected a text or a mapping"),
    file("unknown schedule", _train("schedule: cosineannealing"), "InvalidConfig", "model.yaml:8: train: schedule:",
        "no schedule 'cosineannealing'", "Did you mean 'CosineAnnealingLR'"),
    file("schedule without its option", _train("schedule: steplr"), "InvalidConfig", "model.yaml:8: train: schedule:",
        "'step_size'", "a whole number"),
    file("schedule of a function", _train("schedule: lambdalr"), "InvalidConfig", "model.yaml:8: train: schedule:",
        "the schedule LambdaLR is not taken: it takes", "use OneCycleLR or MultiStepLR"),
    file("unknown metric", _train("epochs: 1\nmonitor: acuracy"), "InvalidConfig", "model.yaml:9: train: monitor:",
        "no metric 'acuracy'", "Did you mean 'accuracy'"),
    file("unknown split", _train("split: {by: colum}"), "InvalidConfig", "model.yaml:8: train: split:", "'colum'",
        "Did you mean 'column'"),
    file("unknown field of the split", _train("split: {bye: row}"), "InvalidConfig", "model.yaml:8: train: split:",
        "'bye'", "Did you mean 'by'"),
    file("split a text", _train("split: row"), "InvalidConfig", "model.yaml:8: train: split:",
        "a split is a mapping, e.g. {by: group,", "found 'row'"),
    file("shares over 1", _train("split: {train: 0.9, validation: 0.2, test: 0.2}"), "InvalidConfig",
        "model.yaml:8: train: split:", "the shares [0.9, 0.2, 0.2] must add up to 1,", "they are 1.3"),
    file("a share below 0", _train("split: {train: 1.2, validation: -0.2, test: 0}"), "InvalidConfig",
        "model.yaml:8: train: split:", "the share of train must be a number from 0 to 1, found 1.2"),
    file("a share of text", _train("split: {train: most}"), "InvalidConfig", "model.yaml:8: train: split:",
        "the share of train must be a number from 0 to 1, found"),
    file("nothing to train on", _train("split: {train: 0, validation: 0.5, test: 0.5}"), "InvalidConfig",
        "model.yaml:8: train: split:", "the shares [0, 0.5, 0.5] must add up to 1,", "they are 1"),
    file("split by a column that is not there", _train("split: {by: column, column: prat}"), "InvalidConfig",
        "model.yaml:8: train: split:", "no column 'prat'", "There is: bytes, flag, gaps, holes,"),
    file("split by no column", _train("split: {by: group}"), "InvalidConfig", "model.yaml:8: train: split:",
        "split by group needs the name of a column, found nothing"),
    file("split by a column of other words", _train("split: {by: column, column: three}"), "InvalidConfig",
        "model.yaml:8: train: split:", "'three'", "There is: dev, test, train, training,"),
    file("split by tensors", _train("split: {by: group, column: vector}"), "InvalidConfig",
        "model.yaml:8: train: split:", "things@1", "rows cannot be split by 'vector', of"),
    file("split by gaps", _train("split: {by: group, column: holes}"), "InvalidConfig", "model.yaml:8: train: split:",
        "'holes'", "fill it in"),
    file("values without a column split", _train("split: {values: {train: [a]}}"), "InvalidConfig",
        "model.yaml:8: train: split:", "values belong to a split by column, as", "found {'train': ['a']}"),
    file("a value of two parts", _train("split: {by: column, column: three, values: {train: [a, b, c], test: [a]}}"),
        "InvalidConfig", "model.yaml:8: train: split:", "the value 'a' is given to two parts of the split"),
    file("a part that is none", _train("split: {by: column, column: three, values: {trian: [a, b, c]}}"),
        "InvalidConfig", "model.yaml:8: train: split:", "'trian'", "Did you mean 'train'"),
    layers("an empty train split",
        "x: {kind: column, column: x}\nj: {kind: join}\n" + LINEAR + "end: {kind: classes, target: fine}",
        "InvalidConfig", "model.yaml:8: train: split:", "the split leaves no row of parts@1 to train",
        "give train a larger share", data="parts", train="epochs: 1, split: {by: column, column: tested}"),
    layers("a part misspelt in the data",
        "x: {kind: column, column: x}\nj: {kind: join}\n" + LINEAR + "end: {kind: classes, target: fine}",
        "InvalidConfig", "model.yaml:8: train: split:", "'odd'", "Did you mean 'train'", data="parts",
        train="epochs: 1, split: {by: column, column: odd}"),
    python("a setting in Python", _setting(epoch=3), "InvalidConfig", "no training setting 'epoch'",
        "Did you mean 'epochs'"),
    python("NaN as a setting", _setting(lr=float("nan")), "InvalidConfig", "train: the", "is nan",
        "expected a number"),
    python("a model that is none", lambda b: lw.train("flower", "flowers", repo=b.repo), "InvalidGraph", "found str",  # type: ignore[arg-type]
        "take lw.Model.from_yaml(FILE), or that of a version:"),
    python("data that is none", lambda b: lw.train(small(), 3, repo=b.repo), "InvalidConfig", "found int",  # type: ignore[arg-type]
        "keep it first: lw.dataset(NAME, data)"),
    python("a table as data", lambda b: lw.train(small(), {"length": [1.0]}, repo=b.repo), "InvalidConfig",  # type: ignore[arg-type]
        "found dict", "keep it first: lw.dataset(NAME, data)"),
    python("predict: a column missing", _ask({"length": 5.0, "width": 3.0}), "InvalidData", "layer 'colour'",
        "no column 'colour'", "There is: length, width."),
    python("predict: a category never seen", _ask({**ROW, "colour": "reed"}), "InvalidData", "layer 'coloured'",
        "'reed'", "Did you mean 'red'"),
    python("predict: a number missing", _ask({**ROW, "length": None}), "InvalidData", "layer 'row'",
        "1 of the 5 values that leave it are missing,", "put a `fill` layer before it (for missing values), or a"),
    python("predict: NaN", _ask({**ROW, "length": float("nan")}), "InvalidData", "layer 'row'",
        "1 of the 5 values that leave it are missing,", "put a `fill` layer before it (for missing values), or a"),
    python("predict: infinity", _ask({**ROW, "length": float("inf")}), "InvalidData", "layer 'row'",
        "1 of the 5 values that leave it are missing,", "put a `fill` layer before it (for missing values), or a"),
    python("predict: text for a number", _ask({**ROW, "length": "long"}), "InvalidData", "'length'",
        "give it in that type"),
    python("predict: a number for text", _ask({**ROW, "colour": 3}), "InvalidData", "'colour'",
        "give it in that type"),
    python("predict: nothing", _ask([]), "InvalidData", "the list of rows has no rows",
        "a dataset needs at least one"),
    python("predict: a number", _ask(3), "InvalidData", "'builtins.int'",
        "give a pandas or Polars frame, an Arrow table, a dict of"),
    python("predict: a list for a number", _ask({**ROW, "length": [[1.0, 2.0]], "width": [3.0], "colour": ["red"]}),
        "InvalidData", "'length'", "give it in that type"),
    python("trace: two rows", lambda b: lw.load("flower", repo=b.repo).trace([ROW, ROW]), "InvalidData",
        "a trace follows one row", "found 2"),
    python("evaluate: another dataset", lambda b: lw.load("flower", repo=b.repo).evaluate("things"), "InvalidData",
        "no column 'colour'", "There is: bytes, flag, gaps, holes,"),
    python("evaluate: a split that is none", lambda b: lw.load("flower", repo=b.repo).evaluate(split="tset"),
        "NotFound", "no split 'tset'", "Did you mean 'test'"),
]

LATE: list[Bad] = [
    layers("a number that an embedding has no row for", "w: {kind: column, column: whole}\n"
        "a: {kind: torch.nn.Embedding, num_embeddings: 5, embedding_dim: 2}\n" + END, "InvalidData",
        "model.yaml:5: layer 'a'", "a number for which it has no row", "set num_embeddings above the largest"),
    layers("a batch of one for batch statistics", V + "n: {kind: torch.nn.BatchNorm1d}\n" + LINEAR + END,
        "InvalidConfig", "model.yaml:5: layer 'n'", "it gets one row", "use a larger batch",
        train="epochs: 1, batch: 1"),
    layers("activations beyond memory", "p: {kind: column, column: pixels}\n"
        "u: {kind: torch.nn.Upsample, scale_factor: 1000000}\na: {kind: torch.nn.AdaptiveAvgPool2d, output_size: 1}\n"
        "f: {kind: torch.nn.Flatten}\n" + LINEAR + END, "InvalidConfig", "model.yaml:5: layer 'u'",
        "not enough memory", "use a smaller batch or smaller layers"),
]
"""What no shape tells, and only a step of the training can."""
# fmt: on
