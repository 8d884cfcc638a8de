"""Unsloth: the masking of train_on_responses_only, with the two headers that the export's README names.

The one file that masks is loaded by itself, which needs neither a GPU nor what the packages depend on; its trainer is not run.
"""

import importlib.util
import json
import re
from pathlib import Path

from common import Results, cases, difference, exports_folder, read_lines, tokenizer_of


def masking():
    place = Path(importlib.util.find_spec("unsloth_zoo").origin).parent / "dataset_utils.py"
    spec = importlib.util.spec_from_file_location("dataset_utils", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.train_on_responses_only


def headers(readme: str) -> list[str]:
    found = re.search(r'instruction_part=("(?:[^"\\]|\\.)*"), response_part=("(?:[^"\\]|\\.)*")', readme)
    return [json.loads(text) for text in found.groups()]


def main():
    results = Results("unsloth", ["unsloth", "unsloth_zoo", "transformers", "torch"])
    train_on_responses_only = masking()
    for name, models, role, exports in cases(exports_folder()):
        tokenizer = tokenizer_of(models / role)
        ours = read_lines(exports / "masked-tokenized" / "train.jsonl")
        rows = read_lines(exports / "unsloth" / "train.jsonl")
        instruction, response = headers((exports / "unsloth" / "README.md").read_text(encoding="utf-8"))
        mask = train_on_responses_only(
            None, instruction_part=instruction, response_part=response, tokenizer=tokenizer, return_function=True
        )
        assert len(rows) == len(ours), (len(rows), len(ours))
        found = []
        for row, one in zip(rows, ours):
            text = tokenizer.apply_chat_template(row["conversations"], tokenize=False)
            ids = tokenizer(text, add_special_tokens=False).input_ids
            labels = mask({"input_ids": [ids]})["labels"][0]
            found.append(difference(ids, [int(label) for label in labels], one))
        results.add(name, "train_on_responses_only", found)
    results.write()


main()
