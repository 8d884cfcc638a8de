"""Owns the flags of the trainer: their names, defaults and help. It reads no file and starts nothing."""

import argparse


def parse_options(args: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains a LLaMA-architecture model on a pre-tokenized export.")
    add = parser.add_argument
    add("--data", required=True, help="folder with train.jsonl, heldout.jsonl and meta.json")
    add("--run-folder", required=True, help="folder for checkpoints, the log and the result")
    add("--tokenizer", help="folder with the token files and the chat template of the role [as --base]")
    add("--resume", action="store_true", help="go on from the newest checkpoint of --run-folder, if there is one")

    add("--base", help="Hugging Face checkpoint to start from; without it a model from scratch")
    add("--config", help="JSON file with fields of a LlamaConfig, for a model from scratch")
    add("--layers", type=int)
    add("--hidden", type=int)
    add("--heads", type=int)
    add("--kv-heads", type=int)
    add("--intermediate", type=int)
    add("--vocab", type=int)
    add("--rope-theta", type=float)
    add("--tied", choices=["yes", "no"], help="whether the output head is the embedding")
    add("--context", type=int, help="longest sequence; examples lose what is beyond [as the model has it, else 2048]")

    add("--method", choices=["full", "lora"], default="full")
    add("--lora-rank", type=int, default=16)
    add("--lora-alpha", type=float, default=32)
    add("--lora-dropout", type=float, default=0.0)
    add("--train-on", choices=["labels", "all"], default="labels", help="all: every token is in the loss, for a base model")

    add("--pack", action="store_true", help="join the training examples into sequences of the whole context, for a base model")
    add("--epochs", type=float, default=3)
    add("--max-steps", type=int, help="end after so many optimizer steps, and let the learning rate fall to its end there")
    add("--batch-tokens", type=int, default=16384, help="most tokens of one batch of one device, padding included")
    add("--accumulate", type=int, default=1, help="batches of one optimizer step, for each device")
    add("--lr", type=float, default=2e-5)
    add("--min-lr-ratio", type=float, default=0.0, help="where the cosine ends, as a share of --lr")
    add("--warmup", type=float, default=0.03, help="share of the steps in which the learning rate rises")
    add("--weight-decay", type=float, default=0.0)
    add("--clip", type=float, default=1.0, help="largest norm of the gradient; 0 for no limit")
    add("--seed", type=int, default=1)
    add("--gradient-checkpointing", action="store_true", help="less memory, a third more work")

    add("--evaluate-every", type=int, default=100, help="optimizer steps between two measures of the held-out loss")
    add("--patience", type=int, default=0, help="end after so many measures without a better one; 0 for never")
    add("--checkpoint-every", type=int, default=200, help="optimizer steps between two checkpoints")
    add("--keep", type=int, default=2, help="newest checkpoints to keep")
    add("--reference-examples", type=int, default=16, help="held-out examples whose logits and losses are written down")
    add("--save-dtype", choices=["float32", "float16", "bfloat16"], default="float32")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add("--threads", type=int, help="CPU threads [all]")

    options = parser.parse_args(args)
    if options.base is None and options.tokenizer is None:
        parser.error("a model from scratch needs --tokenizer")
    if options.base is None and options.method == "lora":
        parser.error("--method lora needs --base")
    options.tokenizer = options.tokenizer or options.base
    return options
