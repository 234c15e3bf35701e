"""What nothing learns from runs in batches of one size: a row's bits are the same wherever it stands in one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from layerwise.engine.determinism import blank_memory, choose_device, seed_torch, settled_torch
from layerwise.engine.evaluate import CANONICAL, batches
from layerwise.engine.training import Training

CPU = choose_device("cpu")


@pytest.mark.parametrize("rows", [0, 1, 2, CANONICAL - 1, CANONICAL, CANONICAL + 1, 3 * CANONICAL])
def test_every_batch_is_of_one_size_and_filled_with_the_last_row(rows: int) -> None:
    found = batches(torch.arange(rows))
    assert all(len(chunk) == CANONICAL for chunk in found) or not rows
    together = torch.cat(found)
    assert together[:rows].tolist() == list(range(rows))
    assert set(together[rows:].tolist()) <= {rows - 1}


def odd(inner: int, outer: int) -> Callable[[], nn.Module]:
    return lambda: nn.Linear(inner, outer)


@pytest.mark.parametrize(
    ("make", "row"),
    [
        *((odd(inner, 10), (inner,)) for inner in (5, 13, 33, 288)),
        (lambda: nn.Conv2d(3, 8, 3, padding=1), (3, 9, 9)),
        (lambda: nn.LayerNorm(7), (5, 7)),
        (lambda: nn.TransformerEncoderLayer(12, 3, dim_feedforward=20, batch_first=True), (5, 12)),
    ],
)
def test_a_row_has_the_same_bits_at_every_place_of_a_batch(make: Callable[[], nn.Module], row: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    module, one = make().eval(), torch.randn(row)
    found: list[Tensor] = []
    with torch.inference_mode():
        for place in range(CANONICAL):
            among = torch.randn(CANONICAL, *row)
            among[place] = one
            found.append(module(among)[place])
    assert all(torch.equal(other, found[0]) for other in found)


class Blank(nn.Module):
    """A layer of the user's that forgets to set its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1000))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.sum()


def test_new_memory_is_filled_while_a_network_is_built_and_not_in_steps() -> None:
    with settled_torch(Training.from_mapping({}), CPU):
        with blank_memory(filled=True):
            assert Blank().weight.isnan().all()
        assert not torch._C._get_deterministic_fill_uninitialized_memory()
    assert torch._C._get_deterministic_fill_uninitialized_memory()


def test_a_seed_gives_what_torchs_own_seeding_gives() -> None:
    torch.manual_seed(11)
    expected = torch.rand(5)
    seed_torch(11, CPU)
    assert torch.equal(torch.rand(5), expected)
