"""Bad command lines."""

from __future__ import annotations

from typing import Any

from tests.support.bad_inputs import Bad, command

MODEL = """model: bad
data: things
layers:
  v: {kind: column, column: vector}
  scores: {kind: torch.nn.Linear, out_features: 2}
  end: {kind: classes, target: label}
train: {epochs: 1, optimizer: adam}
"""
ROW = '{"length": 5.0, "width": 3.0, "colour": "red"}'


def setting(id: str, said: str, error: str, *says: str) -> Bad:
    """A ``--set``."""
    return command(f"--set {id}", ["train", "model.yaml", "--set", said], error, *says, files={"model.yaml": MODEL})


def predict(id: str, arguments: list[str], error: str, *says: str, **more: Any) -> Bad:
    """A ``predict``."""
    return command(f"predict {id}", ["predict", "flower", *arguments], error, *says, **more)


# fmt: off
ROWS: list[Bad] = [
    setting("without =", "train.epochs", "InvalidConfig", "'train.epochs'", "write --set train.epochs=3 or --set"),
    setting("of nothing", "=3", "InvalidConfig", "'=3'", "write --set train.epochs=3 or --set"),
    setting("unknown top", "trian.epochs=3", "InvalidConfig", "--set trian.epochs:", "no key 'trian'",
        "Did you mean 'train'"),
    setting("unknown setting", "train.epoch=3", "InvalidConfig", "--set train.epoch:", "no training setting 'epoch'",
        "Did you mean 'epochs'"),
    setting("unknown layer", "layers.score.out_features=3", "InvalidConfig", "--set layers.score.out_features:",
        "no layer 'score'", "Did you mean 'scores'"),
    setting("a layer without an option", "layers.scores=3", "InvalidConfig",
        "--set layers.scores names a layer and none", "write --set train.epochs=3 or --set"),
    setting("unknown option", "layers.scores.out_feature=3", "InvalidLayer", "layer 'scores'",
        "no option 'out_feature'", "Did you mean 'out_features'"),
    setting("an option of a wrong type", "layers.scores.out_features=three", "InvalidLayer", "layer 'scores'",
        "is 'three'", "expected a whole number"),
    setting("all of train", "train=3", "InvalidConfig", "--set train would replace all of it",
        "write --set train.epochs=3 or --set"),
    setting("inside a value", "train.optimizer.momentum=0.9", "InvalidConfig", "--set train.optimizer.momentum:",
        "'adam'", "write --set 'train.optimizer={…}' to give it all at once"),
    setting("a tag", "train.epochs=!!int 3", "InvalidFile", "--set train.epochs:1:", "found the tag '!!int'",
        "values have no tags here, take it away"),
    setting("NaN", "train.lr=.nan", "InvalidFile", "--set train.lr:1:", "found .nan",
        'numbers here are finite. For the text, write ".nan"'),
    setting("two lines", "train.epochs=3\nx: 4", "InvalidConfig", "--set train.epochs:", "found '3\\nx: 4'"),
    setting("a value of no use", "train.epochs=0", "InvalidConfig", "train: the", "is 0", "expected more than 0"),
    setting("a path of dots", "layers..x=3", "InvalidConfig", "'layers..x=3'", "write --set train.epochs=3 or --set"),
    setting("a column that is not there", "layers.v.column=vektor", "InvalidData", "layer 'v'", "no column 'vektor'",
        "Did you mean 'vector'"),
    command("unknown command", ["trian", "model.yaml"], "Usage", "'trian'", "Did you mean 'train'"),
    command("unknown option of a command", ["list", "--jsn"], "Usage", "No such option: --jsn", "--json",
        "See layerwise list --help"),
    command("missing argument", ["predict"], "Usage", "Missing argument 'NAME[@REF]'. See layerwise predict"),
    command("one argument too many", ["list", "more"], "Usage", "unexpected extra argument(s) (more)",
        "See layerwise list --help"),
    command("version not there", ["show", "flower@9"], "NotFound", "no version '9'", "its newest is 1."),
    command("alias not there", ["show", "flower@champoin"], "NotFound", "no version 'champoin'",
        "Did you mean 'champion'"),
    command("model not there", ["log", "flowr"], "NotFound", "no model 'flowr'", "Did you mean 'flower'"),
    command("dataset not there", ["data", "show", "flowerss"], "NotFound", "no dataset 'flowerss'",
        "Did you mean 'flowers'"),
    command("a layer where a version is meant", ["show", "flower@1/hidden"], "InvalidName", "'flower@1/hidden'",
        "write flower@1"),
    command("alias without a name", ["alias", "flower@1"], "InvalidName", "which alias? Write",
        "layerwise alias flower@1 ALIAS"),
    command("alias of a number", ["alias", "flower@1", "3"], "InvalidName", "'3' is not an alias",
        "expected a letter, then letters, digits, '_' or '-', at"),
    command("alias of a version not there", ["alias", "flower@9", "best"], "NotFound", "no version '9'",
        "its newest is 1."),
    command("alias to drop, not there", ["alias", "flower", "champoin", "--drop"], "NotFound", "no alias 'champoin'",
        "Did you mean 'champion'"),
    command("evaluate on a split that is none", ["evaluate", "flower", "--split", "tset"], "NotFound",
        "no split 'tset'", "Did you mean 'test'"),
    command("evaluate on a dataset not there", ["evaluate", "flower", "--data", "flowerz"], "NotFound",
        "no dataset 'flowerz'", "Did you mean 'flowers'"),
    command("evaluate on other columns", ["evaluate", "flower", "--data", "things"], "InvalidData",
        "no column 'colour'", "There is: bytes, flag, gaps, holes,"),
    command("export onto a folder", ["export", "flower", "out"], "InvalidFile", "'mine.txt'",
        "choose an empty one, or replace files with force", files={"out/mine.txt": "mine"}),
    command("export onto a file", ["export", "flower", "out"], "InvalidFile", "out is there and is not a folder",
        "choose another name", files={"out": "mine"}),
    command("export below nothing", ["export", "flower", "no/such/out"], "InvalidFile", "make it first"),
    command("data diff of a dataset that is not there", ["data", "diff", "flowers@1", "flowers@2"], "NotFound",
        "no version '2'", "its newest is 1."),
    command("data diff of different datasets", ["data", "diff", "flowers", "parts"], "InvalidData",
        "flowers@1 and parts@1 are two datasets", "compare two versions of one: flowers@1 and flowers"),
    command("train without data", ["train", "model.yaml", "--data", "thing"], "NotFound", "no dataset 'thing'",
        "Did you mean 'things'", files={"model.yaml": MODEL}),
    command("train on other data", ["train", "model.yaml", "--data", "parts"], "InvalidData",
        "model.yaml:4: layer 'v'", "no column 'vector'", "There is: colour, fine, label, odd,",
        files={"model.yaml": MODEL}),
    command("a message of 100,001 characters", ["train", "model.yaml", "-m", "x" * 100_001], "InvalidName",
        "characters) is not a message", "expected at most 100,000 characters, none of them NUL",
        files={"model.yaml": MODEL}),
    command("code that is no file", ["kinds", "--code", "mine.py"], "InvalidFile", "mine.py", "no such file"),
    command("code that is no Python", ["kinds", "--code", "bad_mine.py"], "InvalidFile", "bad_mine.py:1",
        "SyntaxError", "invalid syntax", files={"bad_mine.py": "x = = 1\n"}),
    command("code that fails", ["kinds", "--code", "bad_mine.py"], "InvalidFile", "bad_mine.py:3", "ValueError", "no",
        files={"bad_mine.py": "import os\n\nraise ValueError('no')\n"}),
    command("code called as another module", ["kinds", "--code", "json.py"], "InvalidFile", "'json'",
        "rename the file", files={"json.py": "x = 1\n"}),
    command("code that is a path to a folder", ["kinds", "--code", "code"], "InvalidFile",
        "code is not a Python file that can be a", "name it like my_layers.py", files={"code/x.py": "x = 1\n"}),
    predict("no rows", [], "InvalidData", "which rows? Give ROWS (a file, a folder, or", "found none"),
    predict("rows twice", ["t.csv", "--row", ROW], "InvalidData", "which rows? Give ROWS (a file, a folder, or",
        "found more than one of these", files={"t.csv": "a\n1\n"}),
    predict("a file that is not there", ["rosw.csv"], "InvalidFile", "rosw.csv", "no such file or folder."),
    predict("a file without a column", ["t.csv"], "InvalidData", "layer 'colour'", "no column 'colour'",
        "There is: length, width.", files={"t.csv": "length,width\n5,3\n"}),
    predict("a file with another label", ["t.csv"], "InvalidData", "layer 'coloured'", "'reed'", "Did you mean 'red'",
        files={"t.csv": "length,width,colour\n5,3,reed\n"}),
    predict("a file with text for a number", ["t.csv"], "InvalidFile", "t.csv", "'length'", "mend the value",
        files={"t.csv": "length,width,colour\nlong,3,red\n"}),
    predict("a file of no rows", ["t.csv"], "InvalidData", "t.csv", "has no rows", "a dataset needs at least one",
        files={"t.csv": "length,width,colour\n"}),
    predict("--row not JSON", ["--row", "length=5"], "NotFound", "flowers@1 has no row 'length=5', nor one of that key",
        'a row of your own is JSON: {"column": value}'),
    predict("--row of a key in a file", ["t.csv", "--row", "five"], "NotFound", "t.csv has no row 'five'",
        "the rows are 0 to 0", files={"t.csv": "length,width,colour\n5,3,red\n"}),
    predict("--row as JSON and by its place", ["--row", ROW, "--row", "0"], "InvalidData", "more than one of these"),
    predict("--row cut short", ["--row", '{"length": 5.0'], "InvalidFile", "--row 1", "is not JSON",
        "Expecting ',' delimiter at character 15"),
    predict("--row of a list", ["--row", "[5, 3]"], "InvalidFile", "--row 1", "is list,",
        'expected an object: {"column": value}'),
    predict("--row with a key twice", ["--row", '{"length": 5, "length": 6}'], "InvalidFile", "--row 1", "'length'",
        "keep one"),
    predict("--row with NaN", ["--row", '{"length": NaN}'], "InvalidFile", "--row 1",
        "holds NaN, which JSON does not have", "write null where a value is missing"),
    predict("--row with a number of 5,000 digits", ["--row", '{"length": ' + "9" * 5000 + "}"], "InvalidFile",
        "--row 1", "holds a whole number of 5,000 digits", "at most 40 are read"),
    predict("--row nested 200 deep", ["--row", '{"length": ' + "[" * 200 + "]" * 200 + "}"], "InvalidFile", "--row 1",
        "nests deeper than 64 levels"),
    predict("--row without a column", ["--row", '{"length": 5.0, "width": 3.0}'], "InvalidData", "layer 'colour'",
        "no column 'colour'", "There is: length, width."),
    predict("--row with null", ["--row", '{"length": null, "width": 3.0, "colour": "red"}'], "InvalidData",
        "layer 'row'", "1 of the 5 values that leave it are missing,",
        "put a `fill` layer before it (for missing values), or a"),
    predict("--row with an object", ["--row", '{"length": {"cm": 5}, "width": 3.0, "colour": "red"}'], "InvalidData",
        "'length'", "turn the column into one of these or leave it out"),
    predict("lines not JSON", ["-"], "InvalidFile", "line 2 of the standard input", "is not JSON",
        "Expecting value at character 1", stdin=f"{ROW}\nlength,width\n".encode()),
    predict("lines not UTF-8", ["-"], "InvalidFile", "line 1 of the standard input",
        "is not JSON: the byte 0xe9 is not UTF-8", "save it as UTF-8", stdin=b'{"colour": "caf\xe9"}\n'),
    predict("no lines", ["-"], "InvalidData", "the standard input has no rows", "give one JSON object a line",
        stdin=b"\n\n"),
    predict("data that is not there", ["--data", "flowerz"], "NotFound", "no dataset 'flowerz'",
        "Did you mean 'flowers'"),
    predict("data of other columns", ["--data", "parts"], "InvalidData", "layer 'length'", "no column 'length'",
        "There is: colour, fine, label, odd,"),
    predict("out of an unknown ending", ["--row", ROW, "--out", "a.xlsx"], "InvalidFile", "is not known",
        "expected one of .csv, .parquet, .jsonl"),
    predict("out below nothing", ["--row", ROW, "--out", "no/such/a.csv"], "InvalidFile", "make it first"),
    command("trace of a row that is not there", ["trace", "flower", "t.csv", "--row", "5"], "NotFound",
        "t.csv has no row 5", "the rows are 0 to 0", files={"t.csv": "length,width,colour\n5,3,red\n"}),
    command("trace of a row below 0", ["trace", "flower", "t.csv", "--row", "-1"], "NotFound",
        "t.csv has no row -1", "the rows are 0 to 0", files={"t.csv": "length,width,colour\n5,3,red\n"}),
    command("trace of no rows", ["trace", "flower"], "InvalidData", "which rows? Give ROWS (a file, a folder, or",
        "found none"),
]
# fmt: on
