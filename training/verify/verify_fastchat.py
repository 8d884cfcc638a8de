"""FastChat: the preprocessing of its trainer for Vicuna, which writes its own template; the text that is trained is compared."""

import json
import sys
from pathlib import Path

from fastchat.train.train import preprocess
from transformers import AutoTokenizer

from common import Results, cases, text_difference, trained_texts


def main(folder, tokenizers):
    results = Results("fastchat", ["fschat", "transformers", "torch"])
    tokenizer = AutoTokenizer.from_pretrained(tokenizers / "llama2", padding_side="right", use_fast=False)
    tokenizer.pad_token = tokenizer.unk_token
    tokenizer.model_max_length = 512
    for name, _, _, exports in cases(folder):
        # The file holds text alone and is the same for every family.
        if not name.startswith("seed/"):
            continue
        rows = json.loads((exports / "fastchat" / "train.json").read_text(encoding="utf-8"))
        found = []
        for row in rows:
            made = preprocess([row["conversations"]], tokenizer)
            texts = trained_texts(made["input_ids"][0].tolist(), made["labels"][0].tolist(), tokenizer)
            found.append(text_difference(texts, [turn["value"] for turn in row["conversations"] if turn["from"] == "gpt"]))
        results.add(name.removeprefix("seed/"), "preprocess of train.py", found)
    results.write()


if len(sys.argv) != 3:
    sys.exit("Usage: python verify_fastchat.py FOLDER TOKENIZERS, where TOKENIZERS holds llama2/ as that model has it")
main(Path(sys.argv[1]), Path(sys.argv[2]))
