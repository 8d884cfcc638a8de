"""Begins a pair: a tokenizer learned from conversations, and an untrained LLaMA checkpoint for each of the two roles.

    python new.py --texts talks.jsonl … --out NEW --layers 6 --hidden 384 --heads 6 --kv-heads 2 --vocab 8192

Writes NEW/user and NEW/assistant, Hugging Face folders that differ in the chat template alone: each opens its own role. The
gateway imports them as they are, so that exports can be made with their tokenizer before anything is trained.
It reads JSON Lines, plain or gzip, of {"conversations": [{"value"}]} or {"messages": [{"content"}]}.
"""

import argparse
import gzip
import json
import shutil
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM

from data import BadInput
from model import SHAPE_FLAGS, build_config

# In the order of their ids, from 0.
SPECIAL_TOKENS = ["<|begin|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|endconversation|>", "<|pad|>"]
BEGIN, END, END_OF_CONVERSATION, PAD = 0, 4, 5, 6
# Words with the blank before them, digits one by one (numbers are copied, seldom known by heart), signs, blanks.
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|ROLE|>' }}{% endif %}"
)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Learns a tokenizer and writes an untrained checkpoint for each role.")
    add = parser.add_argument
    add("--texts", nargs="+", required=True, help="JSON Lines of conversations, .gz or not")
    add("--out", required=True, help="new folder")
    for flag in SHAPE_FLAGS:
        add(f"--{flag.replace('_', '-')}", type=int, required=flag not in ("kv_heads", "intermediate"))
    add("--context", type=int, default=2048)
    add("--rope-theta", type=float, default=10000.0)
    add("--seed", type=int, default=1)
    return parser.parse_args()


def texts_of(path: Path) -> Iterator[str]:
    """Every turn of every conversation, in Unicode's composed form."""
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")
    with opened as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                turns = row["conversations"] if "conversations" in row else row["messages"]
                found = [turn["value"] if "value" in turn else turn["content"] for turn in turns]
            except (ValueError, KeyError, TypeError):
                raise BadInput(f"{path.name}, line {number}: must be an object with conversations or messages") from None
            yield from (unicodedata.normalize("NFC", text) for text in found)


def learn_tokenizer(paths: list[Path], size: int) -> Tokenizer:
    """Byte-level byte-pair encoding: no text is out of its reach, and nothing written can become a special token's id by merging."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(WORDS), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for path in paths for text in texts_of(path)), trainer)
    if tokenizer.get_vocab_size() != size:
        raise BadInput(f"the texts give {tokenizer.get_vocab_size()} tokens: --vocab {size} needs more of them")
    return tokenizer


def write_checkpoint(folder: Path, role: str, tokenizer: Tokenizer, args: argparse.Namespace) -> None:
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": SPECIAL_TOKENS[BEGIN],
            "eos_token": SPECIAL_TOKENS[END],
            "pad_token": SPECIAL_TOKENS[PAD],
            "model_max_length": args.context,
            "clean_up_tokenization_spaces": False,
            "chat_template": TEMPLATE.replace("ROLE", role),
        },
    )
    generation = {
        "bos_token_id": BEGIN,
        "eos_token_id": [END, END_OF_CONVERSATION],
        "pad_token_id": PAD,
        "do_sample": True,
        "temperature": 0.8,
        "top_p": 0.95,
    }
    write_json(folder / "generation_config.json", generation)
    args.tokenizer, args.base, args.config, args.tied = str(folder), None, None, "yes"
    torch.manual_seed(args.seed)
    work = folder / "weights"
    AutoModelForCausalLM.from_config(build_config(args), dtype=torch.float32).save_pretrained(work)
    for name in ("config.json", "model.safetensors"):
        (work / name).rename(folder / name)
    shutil.rmtree(work)


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def main() -> int:
    args = parse_options()
    out, work = Path(args.out), Path(f"{args.out}.writing")
    try:
        if out.exists():
            raise BadInput(f"{out} exists already")
        shutil.rmtree(work, ignore_errors=True)
        tokenizer = learn_tokenizer([Path(path) for path in args.texts], args.vocab)
        for role in ("user", "assistant"):
            write_checkpoint(work / role, role, tokenizer, args)
        work.rename(out)
    except (BadInput, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
