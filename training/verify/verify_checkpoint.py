"""transformers: loads checkpoints that were written from served models, and compares weights and logits."""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from common import Results

RECORDED = Path(__file__).parents[2] / "test" / "fixtures" / "checkpoints"


def weight_differences(model, source: Path) -> list[str | None]:
    """Of each tensor of the checkpoint that was imported: None where it came back to the bit."""
    expected = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).state_dict()
    found = model.state_dict()
    assert expected.keys() == found.keys(), expected.keys() ^ found.keys()
    return [None if torch.equal(value, found[name]) else name for name, value in expected.items()]


def logit_differences(model, folder: Path, tolerance: float) -> list[str | None]:
    """Of each position: None where the engine's logits and these differ by less than the tolerance."""
    rows = []
    with torch.no_grad():
        for prompt in json.loads((folder / "prompts.json").read_text()):
            rows.extend(model(torch.tensor([prompt])).logits[0])
    engine = torch.frombuffer(bytearray((folder / "engine.f32").read_bytes()), dtype=torch.float32)
    differences = (torch.stack(rows) - engine.reshape(len(rows), -1)).abs().amax(dim=1)
    return [None if value < tolerance else f"logits differ by {value:.2g}" for value in differences.tolist()]


def main():
    if len(sys.argv) != 2:
        sys.exit(f"Usage: python {sys.argv[0]} FOLDER, where make-checkpoints-cli.ts wrote its checkpoints")
    results = Results("checkpoint", ["transformers", "torch", "safetensors"])
    for folder in sorted((Path(sys.argv[1]) / "checkpoints").iterdir()):
        model, loading = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
        assert not any(loading.values()), (folder.name, loading)
        assert model.dtype == torch.float32, model.dtype
        AutoTokenizer.from_pretrained(folder)
        name, _, precision = folder.name.rpartition("-")
        if precision == "float32":
            results.add(folder.name, "weights, to the bit", weight_differences(model, RECORDED / name))
        # float16 models compute in float16; the embedded pair was imported for kernels that round activations to 8 bits.
        tolerance = 0.5 if name == "" else 0.02 if precision == "float16" else 1e-4
        results.add(folder.name, f"logits, within {tolerance:g}", logit_differences(model, folder, tolerance))
    results.write()


if __name__ == "__main__":
    main()
