"""LLaMA-Factory: its data set loader, converter, processor and templates, set up by dataset_info.json and the YAML of the export."""

import tempfile

import datasets
import yaml
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import DataArguments, ModelArguments
from transformers import Seq2SeqTrainingArguments

from common import Results, cases, exports_folder, read_lines, text_difference, tokenizer_of, trained_texts

datasets.disable_progress_bars()

# Its own template of the same model family; None makes it parse the tokenizer's template.
TEMPLATES = {"seed": [None], "chatml": ["chatml", None], "phi3": ["phi", None]}
NOTES = {
    "seed": "the parsed template repeats the beginning token in every round",
    "chatml": "the line break behind the end token is trained too",
    "phi3": "the line break behind the end token is trained too, where the tokenizer keeps it",
}


def prepared(tokenizer, exports, template):
    """The data set as its trainer gets it."""
    config = yaml.safe_load((exports / "llama-factory" / "llama-factory.yml").read_text(encoding="utf-8"))
    names = ("dataset", "cutoff_len", "mask_history", "train_on_prompt")
    data = DataArguments(
        **{name: config[name] for name in names},
        template=template,
        dataset_dir=str(exports / "llama-factory"),
        overwrite_cache=True,
    )
    model = ModelArguments(model_name_or_path="none", cache_dir=tempfile.mkdtemp())
    training = Seq2SeqTrainingArguments(output_dir=tempfile.mkdtemp(), use_cpu=True, do_train=True, report_to=[])
    made = get_template_and_fix_tokenizer(tokenizer, data)
    return list(get_dataset(made, model, data, training, "sft", tokenizer)["train_dataset"])


def difference(row, ours, tokenizer):
    """None where ids are ours, and so are labels but for white space right behind a trained turn."""
    ids, labels = row["input_ids"], row["labels"]
    length = min(len(ids), len(ours["input_ids"]))
    for at in range(length):
        if ids[at] != ours["input_ids"][at]:
            return f"id {ids[at]} at {at}, ours {ours['input_ids'][at]}"
    for at, label in enumerate(labels):
        expected = ours["labels"][at] if at < length else -100
        is_space = at > 0 and labels[at - 1] != -100 and tokenizer.decode([ids[at]]).strip() == ""
        if label != expected and not (expected == -100 and is_space):
            return f"label {label} at {at}, ours {expected}"
    return None if length == len(ours["input_ids"]) else f"has {len(ids)} tokens, ours {len(ours['input_ids'])}"


def answers(row):
    return [message["content"] for message in row["messages"] if message["role"] == "assistant"]


def main():
    results = Results("llama-factory", ["llamafactory", "transformers", "datasets"])
    for name, models, role, exports in cases(exports_folder()):
        family = name.split("/")[0]
        for template in TEMPLATES[family]:
            # Roles are swapped for the user's side, so what comes out is an assistant's example.
            tokenizer = tokenizer_of(models / "assistant")
            ours = read_lines(exports / "swapped-tokenized" / "train.jsonl")
            rows = prepared(tokenizer, exports, template)
            assert len(rows) == len(ours), (len(rows), len(ours))
            found = [difference(row, one, tokenizer) for row, one in zip(rows, ours)]
            what = f"template {template}" if template else "template parsed from the tokenizer"
            results.add(name, what, found, NOTES.get(family))
            told = read_lines(exports / "openai" / "train.jsonl")
            texts = [
                text_difference(trained_texts(row["input_ids"], row["labels"], tokenizer), answers(one))
                for row, one in zip(rows, told)
            ]
            results.add(name, f"{what}, text of the trained turns", texts)
    results.write()


main()
