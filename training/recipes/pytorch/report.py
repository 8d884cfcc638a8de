"""Owns what the trainer says: JSON Lines of progress, and the reference that an import is checked against."""

import json
import sys
import time
from pathlib import Path

import torch

from data import IGNORED, Example
from model import load_result

REFERENCE_TOKENS = 512
LOGIT_ROWS = 512


class Reporter:
    """Says one JSON object a line on stdout and in RUN/log.jsonl; silent on all processes but the first."""

    def __init__(self, run: Path):
        self._path = run / "log.jsonl"
        self._log = None
        self._is_shown = True
        # Nobody listens any more: the training should end as if it had been asked to.
        self.is_closed = False
        self._marks: list[tuple[float, int]] = []

    def open(self, is_shown: bool) -> None:
        self._is_shown = is_shown
        if is_shown:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._log = open(self._path, "a")

    def say(self, event: str, **fields: object) -> None:
        if not self._is_shown:
            return
        line = json.dumps({"event": event, **fields})
        if self._log is not None:
            print(line, file=self._log, flush=True)
        try:
            print(line, flush=True)
        except BrokenPipeError:
            self.is_closed = True

    def step(self, step: int, steps: int, tokens: int, **fields: object) -> None:
        """Adds tokens per second and the time left, by the last fifty steps."""
        now = time.monotonic()
        self._marks = [*self._marks[-49:], (now, tokens)]
        speeds: dict[str, float] = {}
        if len(self._marks) > 1:
            seconds = max(1e-9, now - self._marks[0][0])
            speeds["tokens_per_s"] = round(sum(count for _, count in self._marks[1:]) / seconds, 1)
            speeds["eta_s"] = round((steps - step) * seconds / (len(self._marks) - 1), 1)
        self.say("step", step=step, steps=steps, tokens=tokens, **fields, **speeds)

    def fail(self, sentence: str) -> None:
        self.say("error", message=sentence)
        print(sentence, file=sys.stderr)


@torch.no_grad()
def write_reference(run: Path, examples: list[Example], count: int) -> None:
    """Writes what transformers computes in float32 from the saved checkpoint.

    reference.json: per example the ids, the labels, the summed loss and its tokens; the first have `rows` rows of logits
    in reference.f32 (little-endian float32, one row a position, one after the other).
    """
    model = load_result(run)
    stride = max(1, len(examples) // max(1, count))
    chosen = [example for example in examples[::stride] if example.trained_tokens > 0][:count]
    described, rows_left = [], LOGIT_ROWS
    with open(run / "reference.f32", "wb") as file:
        for example in chosen:
            ids, labels = example.input_ids[:REFERENCE_TOKENS], example.labels[:REFERENCE_TOKENS]
            logits = model(input_ids=torch.tensor([ids])).logits[0].float()
            targets = torch.tensor(labels[1:])
            loss = torch.nn.functional.cross_entropy(logits[:-1], targets, ignore_index=IGNORED, reduction="sum")
            rows = min(rows_left, len(ids))
            rows_left -= rows
            file.write(logits[:rows].contiguous().numpy().astype("<f4").tobytes())
            trained = int((targets != IGNORED).sum())
            described.append(
                {
                    "id": example.id,
                    "input_ids": ids,
                    "labels": labels,
                    "rows": rows,
                    "loss_sum": loss.item(),
                    "trained_tokens": trained,
                }
            )
    reference = {"vocab_size": logits.shape[1], "examples": described}
    (run / "reference.json").write_text(json.dumps(reference) + "\n")
