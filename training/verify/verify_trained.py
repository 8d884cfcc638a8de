"""transformers and PEFT: load what the recipe on ONNX Runtime has trained, and compare logits and losses with its own."""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from common import Results

TOLERANCE = 1e-4


def differences(model, run: Path) -> tuple[list[str | None], list[str | None]]:
    """Of each position whose logits the recipe wrote down, and of each example's loss: None where the difference is small."""
    reference = json.loads((run / "reference.json").read_text())
    written = torch.frombuffer(bytearray((run / "reference.f32").read_bytes()), dtype=torch.float32)
    written = written.reshape(-1, reference["vocab_size"])
    logit_rows, losses, first = [], [], 0
    for example in reference["examples"]:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([example["input_ids"]])).logits[0]
        rows = example["rows"]
        largest = (logits[:rows] - written[first : first + rows]).abs().amax(dim=1)
        logit_rows += [None if value < TOLERANCE else f"logits differ by {value:.2g}" for value in largest.tolist()]
        first += rows
        targets = torch.tensor(example["labels"][1:])
        loss = torch.nn.functional.cross_entropy(logits[:-1], targets, ignore_index=-100, reduction="sum").item()
        gap = abs(loss - example["loss_sum"]) / example["trained_tokens"]
        losses.append(None if gap < TOLERANCE else f"loss differs by {gap:.2g}")
    return logit_rows, losses


def main():
    if len(sys.argv) != 2:
        sys.exit(f"Usage: python {sys.argv[0]} FOLDER, where make-trained-cli.ts wrote its runs")
    results = Results("trained", ["transformers", "peft", "torch", "safetensors"])
    for run in sorted((Path(sys.argv[1]) / "runs").iterdir()):
        way = run.name.rpartition("-")[2]
        model, loading = AutoModelForCausalLM.from_pretrained(run / "result", output_loading_info=True)
        assert not any(loading.values()), (run.name, loading)
        assert model.dtype == (torch.bfloat16 if way == "bfloat16" else torch.float32), model.dtype
        AutoTokenizer.from_pretrained(run / "result")
        rows, losses = differences(model.float().eval(), run)
        results.add(run.name, f"transformers: logits, within {TOLERANCE:g}", rows)
        results.add(run.name, f"transformers: losses, within {TOLERANCE:g} nats a token", losses)
        if way == "lora":
            base = json.loads((run / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"]
            model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
            adapted = PeftModel.from_pretrained(model, run / "adapter").eval()
            trained = [name for name, value in adapted.named_parameters() if "lora_B" in name and value.abs().max() > 0]
            assert len(trained) == 14, trained
            rows, _ = differences(adapted, run)
            results.add(run.name, f"PEFT, adapters beside the base: logits, within {TOLERANCE:g}", rows)
    results.write()


if __name__ == "__main__":
    main()
