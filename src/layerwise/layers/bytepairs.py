"""Byte pairs: a tokenizer that is learned, kept as its merges, and built again from them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from layerwise.layers.base import tensor_to_texts

SPECIAL = ("[PAD]", "[UNK]")
"""The first two tokens: 0 is padding and 1 is never made (every text has bytes), as in a vocabulary."""

FEWEST = len(SPECIAL) + 256
"""The smallest vocabulary: the bytes."""


def learn_merges(texts: Iterable[str], size: int) -> list[str]:
    """Return the merges that a vocabulary of at most ``size`` tokens learns from ``texts``, as ``"left right"``.

    Only counts matter, not the order of the texts.
    """
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        show_progress=False,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer = _tokenizer(models.BPE())
    tokenizer.train_from_iterator(texts, trainer)
    return [" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def build_tokenizer(merges: Tensor) -> Tokenizer:
    """Return the tokenizer of the kept merges. Nothing of a state says which code runs: it holds merges only."""
    pairs = [tuple(merge.split(" ", 1)) for merge in tensor_to_texts(merges)]
    # Two merges may make one token; a dict keeps the first place of each.
    tokens = dict.fromkeys([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in pairs)])
    vocabulary = {token: place for place, token in enumerate(tokens)}
    return _tokenizer(models.BPE(vocab=vocabulary, merges=[(left, right) for left, right in pairs]))


def _tokenizer(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    # The space in front belongs to the word, as in GPT-2; none is added at the start of a text.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
