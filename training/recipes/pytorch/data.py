"""Owns the examples: reads a pre-tokenized export, and says which of them make up which step.

The order of batches is a function of the seed and the epoch alone, so that a position in it is all that a resumed run
needs, and every process of a distributed run knows the same order. It knows no model.
"""

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

import torch

IGNORED = -100


class BadInput(Exception):
    """A sentence for the person who started the training."""


@dataclass(frozen=True)
class Example:
    id: str
    input_ids: list[int]
    labels: list[int]

    @property
    def trained_tokens(self) -> int:
        # The first id is predicted by nothing.
        return sum(label != IGNORED for label in self.labels[1:])


@dataclass(frozen=True)
class Examples:
    items: list[Example]
    # Examples that were longer than the context and lost their end; examples without a token in the loss.
    cut: int
    dropped: int
    sha256: str


def read_examples(path: Path, train_on: str, context: int, vocab: int) -> Examples:
    """Reads JSON Lines of {"id", "input_ids", "labels"}. With train_on "all" every token is in the loss."""
    items, cut, dropped = [], 0, 0
    digest = hashlib.sha256()
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            digest.update(line)
            if not line.strip():
                continue
            example = parse_example(line, f"{path.name}, line {number}", vocab)
            if train_on == "all":
                example = Example(example.id, example.input_ids, list(example.input_ids))
            if len(example.input_ids) > context:
                cut += 1
                example = Example(example.id, example.input_ids[:context], example.labels[:context])
            if example.trained_tokens == 0:
                dropped += 1
            else:
                items.append(example)
    return Examples(items, cut, dropped, digest.hexdigest())


def parse_example(line: bytes, where: str, vocab: int) -> Example:
    try:
        row = json.loads(line)
        ids, labels = row["input_ids"], row["labels"]
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"{where}: must be an object with input_ids and labels") from None
    if len(ids) != len(labels):
        raise BadInput(f"{where}: has {len(ids)} input_ids and {len(labels)} labels")
    if any(not isinstance(token, int) or not 0 <= token < vocab for token in ids):
        raise BadInput(f"{where}: input_ids holds an id outside the model's vocabulary of {vocab}")
    if any(label not in (IGNORED, token) for label, token in zip(labels, ids)):
        raise BadInput(f"{where}: a label is neither {IGNORED} nor the id at its place")
    return Example(str(row.get("id", "")), ids, labels)


def packed(examples: Examples, context: int, seed: int) -> Examples:
    """Joins examples, in an order that the seed decides, and cuts the whole into sequences of exactly the context.

    For a base model: every position of the context is trained, and nothing is padded. A sequence sees the examples before it
    in the same cut; the first id of an example is not in the loss, since what came before says nothing of it.
    """
    items = list(examples.items)
    random.Random(f"{seed}/pack").shuffle(items)
    ids: list[int] = []
    labels: list[int] = []
    for example in items:
        ids += example.input_ids
        labels += [IGNORED, *example.labels[1:]]
    cuts = [Example(f"pack-{at}", ids[at : at + context], labels[at : at + context]) for at in range(0, len(ids), context)]
    return Examples([cut for cut in cuts if cut.trained_tokens > 0], examples.cut, examples.dropped, examples.sha256)


def batches_of(examples: list[Example], token_budget: int, order: random.Random | None) -> list[list[int]]:
    """Cuts the examples into batches of alike lengths: padded, none has more than token_budget tokens, unless it is one example.

    With an order the examples are shuffled first, and alike lengths are looked for among a few hundred neighbours only;
    without one the batches are the same every time, shortest first.
    """
    indices = list(range(len(examples)))
    neighbours = len(indices) or 1
    if order is not None:
        order.shuffle(indices)
        neighbours = 512
    batches = []
    for start in range(0, len(indices), neighbours):
        batch = []
        for index in sorted(indices[start : start + neighbours], key=lambda i: len(examples[i].input_ids)):
            if batch and len(examples[index].input_ids) * (len(batch) + 1) > token_budget:
                batches.append(batch)
                batch = []
            batch.append(index)
        if batch:
            batches.append(batch)
    if order is not None:
        order.shuffle(batches)
    return batches


class Schedule:
    """Which batches each optimizer step takes: `per_step` (accumulation times processes) of one epoch's order at a time."""

    def __init__(self, examples: list[Example], token_budget: int, per_step: int, seed: int):
        self._examples, self._budget, self._per_step, self._seed = examples, token_budget, per_step, seed
        self._epoch, self._groups = -1, []
        # Epochs differ by a few batches, since the order decides which lengths meet: all are counted as the first.
        self.steps_per_epoch = len(self._groups_of(0))

    def groups(self, step: int) -> list[list[int]]:
        """The batches of a step, counted from 0. A process takes every n-th of them; there may be fewer than per_step."""
        return self._groups_of(step // self.steps_per_epoch)[step % self.steps_per_epoch]

    def _groups_of(self, epoch: int) -> list[list[list[int]]]:
        if epoch != self._epoch:
            batches = batches_of(self._examples, self._budget, random.Random(f"{self._seed}/{epoch}"))
            groups = [batches[i : i + self._per_step] for i in range(0, len(batches), self._per_step)]
            first = getattr(self, "steps_per_epoch", len(groups))
            # A longer epoch leaves its last groups out, a shorter one repeats its first.
            groups = (groups + groups)[:first]
            self._epoch, self._groups = epoch, groups
        return self._groups


def padded(examples: list[Example], batch: list[int], pad_id: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded ids and labels [examples, longest]. Attention is causal: nothing ever looks at the padding."""
    longest = max(len(examples[index].input_ids) for index in batch)
    ids = torch.full((len(batch), longest), pad_id, dtype=torch.long)
    labels = torch.full((len(batch), longest), IGNORED, dtype=torch.long)
    for row, index in enumerate(batch):
        length = len(examples[index].input_ids)
        ids[row, :length] = torch.tensor(examples[index].input_ids)
        labels[row, :length] = torch.tensor(examples[index].labels)
    return ids.to(device), labels.to(device)


def trained_tokens(examples: list[Example], batch: list[int]) -> int:
    return sum(examples[index].trained_tokens for index in batch)
