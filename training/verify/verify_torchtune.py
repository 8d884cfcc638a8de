"""torchtune: chat_dataset as the YAML of the export sets it up, with its own tokenizer and template of Qwen2 over GPT-2's vocabulary.

That template trains the header of an answer as well, so the text behind the header is compared.
"""

import json
import tempfile
from pathlib import Path

import torch  # noqa: F401  torchtune wants it first
import yaml
from torchtune.datasets import chat_dataset
from torchtune.models.qwen2 import Qwen2Tokenizer

from common import Results, cases, exports_folder, text_difference


def tokenizer_from(model: Path) -> Qwen2Tokenizer:
    """Its tokenizer reads vocab.json and merges.txt, which tokenizer.json holds together."""
    made = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    folder = Path(tempfile.mkdtemp())
    (folder / "vocab.json").write_text(json.dumps(made["model"]["vocab"]), encoding="utf-8")
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in made["model"]["merges"]]
    (folder / "merges.txt").write_text("\n".join(merges), encoding="utf-8")
    special = {token["content"]: token["id"] for token in made["added_tokens"]}
    return Qwen2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), special_tokens=special)


def trained(row, tokenizer):
    runs, before = [], -100
    for label in row["labels"]:
        if label != -100:
            runs = runs if before != -100 else [*runs, []]
            runs[-1].append(int(label))
        before = label
    return [tokenizer.decode(run, skip_special_tokens=True).removeprefix("assistant\n").strip() for run in runs]


def main():
    results = Results("torchtune", ["torchtune", "torchao", "torch", "datasets"])
    for name, models, _, exports in cases(exports_folder()):
        # The file holds text alone and is the same for every family; GPT-2's vocabulary is that of the family chatml.
        if not name.startswith("chatml/"):
            continue
        folder = exports / "torchtune"
        options = yaml.safe_load((folder / "torchtune.yml").read_text(encoding="utf-8"))["dataset"]
        assert options.pop("_component_") == "torchtune.datasets.chat_dataset"
        options["data_files"] = str(folder / options["data_files"])
        tokenizer = tokenizer_from(models / "user")
        rows = chat_dataset(tokenizer, cache_dir=tempfile.mkdtemp(), **options)
        told = json.loads((folder / "train.json").read_text(encoding="utf-8"))
        assert len(rows) == len(told), (len(rows), len(told))
        found = []
        for at, row in enumerate(told):
            answers = [turn["value"] for turn in row["conversations"] if turn["from"] == "gpt"]
            found.append(text_difference(trained(rows[at], tokenizer), answers))
        results.add(name.removeprefix("chatml/"), "chat_dataset, text of the trained turns", found)
    results.write()


main()
