"""TRL: SFTTrainer's own preparation of a data set, on messages, on prompt and completion, and on ids."""

import json
import tempfile

import datasets
from transformers import LlamaConfig, LlamaForCausalLM
from trl import SFTConfig, SFTTrainer

from common import Results, cases, difference, exports_folder, read_lines, tokenizer_of

datasets.disable_progress_bars()


def prepared(tokenizer, kind, path, **options):
    """The data set as SFTTrainer trains on it."""
    data = datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=tempfile.mkdtemp())
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    args = SFTConfig(output_dir=tempfile.mkdtemp(), max_length=4096, use_cpu=True, bf16=False, report_to=[], **options)
    trainer = SFTTrainer(LlamaForCausalLM(config), args=args, train_dataset=data, processing_class=tokenizer)
    return list(trainer.train_dataset)


def compare(rows, ours):
    assert len(rows) == len(ours), (len(rows), len(ours))
    return [difference(row["input_ids"], row["labels"], one) for row, one in zip(rows, ours)]


def completions(rows, ours, tokenizer):
    """Each row is one trained turn: the prompt's ids and the turn's must be ours up to that turn's end."""
    expected = []
    for one in ours:
        labels = one["labels"]
        ends = [at + 1 for at, label in enumerate(labels) if label != -100 and (labels + [-100])[at + 1] == -100]
        for end in ends:
            start = max((at for at in range(end) if labels[at] == -100), default=-1) + 1
            expected.append({"input_ids": one["input_ids"][:end], "labels": [-100] * start + labels[start:end]})
    return compare(rows, expected)


def main():
    results = Results("trl", ["trl", "transformers", "datasets", "torch"])
    for name, models, role, exports in cases(exports_folder()):
        ours = read_lines(exports / "tokenized" / "train.jsonl")
        masked = read_lines(exports / "masked-tokenized" / "train.jsonl")
        end = json.loads((models / role / "tokenizer_config.json").read_text())["eos_token"]
        template = str(exports / "trl" / "chat_template.jinja")
        tokenizer = tokenizer_of(models / role)
        rows = prepared(
            tokenizer,
            "json",
            exports / "trl" / "train.jsonl",
            assistant_only_loss=True,
            chat_template_path=template,
            eos_token=end,
        )
        results.add(name, "messages with the marked template", compare(rows, masked))
        rows = prepared(tokenizer_of(models / role), "json", exports / "trl-completion" / "train.jsonl", eos_token=end)
        results.add(name, "prompt and completion", completions(rows, ours, tokenizer))
        rows = prepared(tokenizer_of(models / role), "parquet", exports / "trl-tokenized" / "train.parquet")
        results.add(name, "ids and labels", compare(rows, ours))
        hub = datasets.load_dataset(str(exports / "hf"), "tokenized", split="train", cache_dir=tempfile.mkdtemp())
        results.add(name, "hf folder, configuration tokenized", compare(list(hub), ours))
        together = datasets.load_dataset(
            "parquet", data_files=str(exports / "together-tokenized" / "train.parquet"), cache_dir=tempfile.mkdtemp()
        )["train"]
        results.add(name, "together-tokenized, as datasets loads it", compare(list(together), ours))
    results.write()


main()
