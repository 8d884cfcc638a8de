"""axolotl: its chat_template strategy, set up by the YAML of the export, on the rows as datasets loads them."""

import tempfile

import datasets
import yaml
from axolotl.prompt_strategies import load
from axolotl.utils.dict import DictDefault

from common import Results, cases, difference, exports_folder, read_lines, tokenizer_of

datasets.disable_progress_bars()


def main():
    results = Results("axolotl", ["axolotl", "transformers", "datasets"])
    for name, models, role, exports in cases(exports_folder()):
        ours = read_lines(exports / "tokenized" / "train.jsonl")
        cfg = DictDefault(yaml.safe_load((exports / "axolotl" / "axolotl.yml").read_text(encoding="utf-8")))
        dataset = cfg.datasets[0]
        path = str(exports / "axolotl" / dataset.path)
        rows = datasets.load_dataset(dataset.ds_type, data_files=path, split="train", cache_dir=tempfile.mkdtemp())
        strategy = load(dataset.type, tokenizer_of(models / role), cfg, dataset)
        prepared = [strategy.tokenize_prompt(row) for row in rows]
        assert len(prepared) == len(ours), (len(prepared), len(ours))
        found = [difference(row["input_ids"], row["labels"], one) for row, one in zip(prepared, ours)]
        results.add(name, "chat_template strategy", found)
    results.write()


main()
