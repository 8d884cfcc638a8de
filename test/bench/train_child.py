"""PyTorch's trainer for the bench: the recipe's own network and loss, and its optimizer. One JSON object a line: see train-process.ts."""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import torch
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training/recipes/pytorch"))
from model import LossRows, build_config, build_model  # noqa: E402

RATE = 1e-4


def main() -> None:
    job = json.loads(sys.stdin.readline())
    torch.set_num_threads(job["threads"])
    torch.manual_seed(1)
    device = job["device"]
    rank = job["loraRank"]
    args = argparse.Namespace(
        base=job["checkpoint"],
        context=None,
        gradient_checkpointing=job["isCheckpointing"],
        method="full" if rank is None else "lora",
        lora_rank=rank,
        lora_alpha=2 * (rank or 0),
        lora_dropout=0.0,
    )
    model = build_model(args, build_config(args)).to(device).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.95), weight_decay=0.0)
    rows = LossRows(model)
    batches = [
        tuple(torch.tensor(batch[key], device=device) for key in ("input_ids", "labels"))
        for batch in json.loads(Path(job["batchFile"]).read_text())
    ]
    say({"description": f"PyTorch {torch.__version__}, transformers {transformers.__version__}"})
    done = 0
    for line in sys.stdin:
        losses = []
        started, cpu = time.perf_counter(), time.process_time()
        for _ in range(json.loads(line)["steps"]):
            ids, labels = batches[done % len(batches)]
            done += 1
            loss = rows.loss_sum(model, ids, labels) / (labels[:, 1:] != -100).sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        say(
            {
                "seconds": time.perf_counter() - started,
                "cpuSeconds": time.process_time() - cpu,
                "losses": losses,
                "peakMegabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
            }
        )


def say(message: dict) -> None:
    print(json.dumps(message), flush=True)


main()
