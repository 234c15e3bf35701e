"""Scikit-learn's estimators as layers equal scikit-learn, are kept without pickle, and load nothing else."""

from __future__ import annotations

import copy
import io
import sys
import zipfile
from typing import Any

import numpy as np
import pytest
import skops.io
import torch
from sklearn import cluster, covariance, decomposition, ensemble, impute, linear_model, mixture, preprocessing
from sklearn.neighbors import KNeighborsClassifier

from layerwise.errors import Damaged, InvalidData, InvalidLayer, InvalidShape, Missing
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers import skopsfile
from layerwise.layers.estimator import Estimator, estimator

X = np.random.default_rng(0).normal(size=(700, 4)) + 3
VALUE = torch.from_numpy(X)

CASES: list[tuple[Any, str, Port]] = [
    (decomposition.PCA(2), "transform", Port("float32", (2,))),
    (preprocessing.PowerTransformer(), "transform", Port("float32", (4,))),
    (preprocessing.RobustScaler(quantile_range=(10.0, 90.0)), "transform", Port("float32", (4,))),
    (preprocessing.PolynomialFeatures(), "transform", Port("float32", (15,))),
    (preprocessing.OneHotEncoder(handle_unknown="ignore"), "transform", Port("float32", (2800,))),
    (impute.SimpleImputer(), "transform", Port("float32", (4,))),
    (cluster.KMeans(3, random_state=1), "transform", Port("float32", (3,))),
    (cluster.KMeans(3, random_state=1), "predict", Port("int64")),
    (ensemble.IsolationForest(n_estimators=4, random_state=1), "score_samples", Port("float32")),
    (mixture.GaussianMixture(2, random_state=1), "score_samples", Port("float32")),
    (covariance.EllipticEnvelope(random_state=1), "predict", Port("int64")),
]


@pytest.mark.parametrize(("made", "method", "port"), CASES, ids=lambda value: str(value)[:30])
def test_rows_are_scikit_learns_and_a_row_is_the_row_alone(made: Any, method: Any, port: Port) -> None:
    kind = estimator(made, method=method)
    state = kind.fit([(VALUE[:300],), (VALUE[300:],)])
    found = torch.as_tensor(kind.run(VALUE, state=state))
    wanted = getattr(made.fit(X), method)(X)
    wanted = wanted.toarray() if hasattr(wanted, "toarray") else wanted
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    for rows in (slice(0, 1), slice(5, 7), slice(100, 399), slice(699, 700)):
        assert torch.equal(torch.as_tensor(kind.run(VALUE[rows], state=state)), found[rows])
    assert kind.infer((Port("float32", (4,)),), state) == port
    assert kind.infer((Port("float32", (4,)),)).dtype == port.dtype
    assert make(kind.title, kind.options()) == kind


@pytest.mark.parametrize("made", [cluster.KMeans(2), ensemble.IsolationForest(n_estimators=2)], ids=str)
def test_the_same_estimator_is_the_same_bytes_wherever_it_lies_in_memory(made: Any) -> None:
    fitted = made.set_params(random_state=0).fit(X)
    one, other = skopsfile.dump(fitted), skopsfile.dump(copy.deepcopy(fitted))
    assert one == other
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
    assert skopsfile.dump(skopsfile.load(one)) == one


def test_its_description_holds_what_is_not_at_its_default() -> None:
    assert estimator(decomposition.PCA(np.int64(2))).options() == {
        "estimator": "sklearn.decomposition.PCA",
        "settings": {"n_components": 2, "random_state": 0},
    }
    assert estimator(preprocessing.PowerTransformer()).options() == {
        "estimator": "sklearn.preprocessing.PowerTransformer"
    }


def test_several_inputs_stand_side_by_side() -> None:
    kind, inputs = estimator(preprocessing.MinMaxScaler()), (VALUE[:, 0], VALUE[:, 1:])
    found = kind.run(*inputs, state=kind.fit([inputs]))
    np.testing.assert_allclose(torch.as_tensor(found), preprocessing.MinMaxScaler().fit_transform(X), rtol=1e-6)


REFUSED: list[tuple[Any, str]] = [
    (linear_model.LinearRegression(), "LinearRegression learns from a target, and where a model answers there is none"),
    (KNeighborsClassifier(), "learns from a target"),
    (ensemble.RandomForestClassifier(), "learns from a target"),
    (cluster.DBSCAN(), "has no transform, score_samples, predict: it has nothing to say about rows"),
    (preprocessing.FunctionTransformer(np.log), "the setting 'func' is .*; expected a JSON value"),
    (cluster.FeatureAgglomeration(memory="/tmp/x"), "'memory' names a folder"),
    (3, "'int' is no estimator that can be a layer"),
]


@pytest.mark.parametrize(("made", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_cannot_be_a_layer_is_refused(made: Any, message: str) -> None:
    with pytest.raises(InvalidLayer, match=message):
        estimator(made)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"estimator": "os.system"}, "there is no estimator 'os.system'"),
    ({"estimator": "sklearn.decomposition.PAC"}, "Did you mean 'sklearn.decomposition.PCA'"),
    ({"estimator": "sklearn.linear_model.LinearRegression"}, "there is no estimator"),
    ({"estimator": "sklearn.decomposition.PCA", "settings": {"n_componets": 2}}, "Did you mean 'n_components'"),
    ({"estimator": "sklearn.cluster.FeatureAgglomeration", "settings": {"memory": "x"}}, "names a folder"),
    ({"estimator": "sklearn.decomposition.PCA", "method": "predict"}, "has no predict"),
    ({"estimator": "sklearn.decomposition.PCA", "method": "fit"}, "'method' is"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_descriptions_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidLayer, match=message):
        make("estimator", options)


def test_what_scikit_learn_refuses_is_told() -> None:
    with pytest.raises(InvalidData, match="PCA refuses the training rows: The 'n_components' parameter"):
        estimator(decomposition.PCA(-1)).fit([(VALUE,)])
    kind = estimator(decomposition.PCA(2))
    with pytest.raises(InvalidData, match="PCA refuses the rows: X has 3 features"):
        kind.run(VALUE[:, :3], state=kind.fit([(VALUE,)]))
    with pytest.raises(InvalidData, match="1 values of 4 are missing; put a `fill` layer"):
        kind.fit([(torch.tensor([[1.0, 2.0], [3.0, float("nan")]]),)])
    with pytest.raises(InvalidLayer, match=r"SplineTransformer holds .* which cannot be kept safely"):
        estimator(preprocessing.SplineTransformer()).fit([(VALUE,)])
    with pytest.raises(InvalidShape, match=r"an input is of shape \['batch', 2, 2\]"):
        kind.fit([(torch.ones(3, 2, 2),)])
    with pytest.raises(InvalidData, match="has not learned 'skops' yet"):
        kind.run(VALUE, state={})


def state_of(data: bytes) -> dict[str, torch.Tensor]:
    """Return a state with these bytes."""
    return {"skops": torch.frombuffer(bytearray(data), dtype=torch.uint8), "width": torch.tensor(2)}


def packed(data: bytes) -> bytes:
    """Return an archive with its entries packed."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name))
    return target.getvalue()


def test_states_from_elsewhere_are_refused() -> None:
    kind = estimator(decomposition.PCA(2))
    hostile = skops.io.dumps(preprocessing.FunctionTransformer(zipfile.ZipFile))
    cases: list[tuple[bytes, type[Exception], str]] = [
        (hostile, InvalidData, "holds the types .*ZipFile.* not trusted"),
        (skops.io.dumps(preprocessing.StandardScaler().fit(X)), InvalidData, "the state is of StandardScaler"),
        (packed(bytes(kind.fit([(VALUE,)])["skops"].tolist())), InvalidData, "is packed"),
        (b"no archive", Damaged, "cannot be read"),
    ]
    for data, error, message in cases:
        with pytest.raises(error, match=message):
            kind.run(VALUE, state=state_of(data))


def test_without_skops_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(Missing, match=r"pip install 'layerwise\[sklearn\]'"):
        skopsfile.need_skops()


def test_inputs_that_are_no_features_are_refused() -> None:
    kind = Estimator("sklearn.decomposition.PCA")
    with pytest.raises(InvalidShape, match="it joins scalars and vectors"):
        kind.infer((Port("uint8", (1, 8, 8)),))
