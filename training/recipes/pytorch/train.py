"""Trains a LLaMA-architecture model on a pre-tokenized export, and writes a Hugging Face checkpoint.

    python train.py --data EXPORT --base CHECKPOINT --run-folder RUN
    torchrun --nproc-per-node 4 train.py …          # FSDP over four devices

Progress goes to stdout, one JSON object a line, and to RUN/log.jsonl. SIGINT and SIGTERM write a checkpoint and end.
Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted and resumable.
"""

import math
import os
import signal
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

import checkpoints
from data import BadInput, Example, Examples, Schedule, batches_of, packed, padded, read_examples, trained_tokens
from model import LossRows, build_config, build_model, save_result
from options import parse_options
from report import Reporter, write_reference


class Stop:
    """Whether a signal has asked for the end, on any of the processes."""

    def __init__(self, device: torch.device):
        self.asked = False
        self._device = device
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._ask)

    def _ask(self, *_ignored) -> None:
        self.asked = True

    def agreed(self) -> bool:
        if not dist.is_initialized():
            return self.asked
        flag = torch.tensor([float(self.asked)], device=self._device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return flag.item() > 0


class Trainer:
    def __init__(self, args, device: torch.device, reporter: Reporter):
        self.args, self.device, self.reporter = args, device, reporter
        self.run = Path(args.run_folder)
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.config = build_config(args)
        context = self.config.max_position_embeddings
        self.train = self._read("train.jsonl", context)
        if not self.train.items:
            raise BadInput("train.jsonl has no example with a token in the loss")
        has_heldout = (Path(args.data) / "heldout.jsonl").exists()
        self.heldout = self._read("heldout.jsonl", context) if has_heldout else Examples([], 0, 0, "")
        if args.pack:
            self.train = packed(self.train, context, args.seed)
        self.schedule = Schedule(self.train.items, args.batch_tokens, args.accumulate * self.world, args.seed)
        wanted = math.ceil(args.epochs * self.schedule.steps_per_epoch)
        self.steps = min(wanted, args.max_steps) if args.max_steps else wanted
        torch.manual_seed(args.seed)
        self.model = build_model(args, self.config).to(device)
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())
        self.loss_rows = LossRows(self.model)
        if dist.is_initialized():
            self._shard()
        matrices = [p for p in self.model.parameters() if p.requires_grad and p.ndim > 1]
        vectors = [p for p in self.model.parameters() if p.requires_grad and p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": args.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=args.lr, betas=(0.9, 0.95))
        # The best held-out loss so far, and for how many measures there was no better one.
        self.progress = {"best": math.inf, "best_step": 0, "waited": 0, "train": self.train.sha256}

    def _read(self, name: str, context: int) -> Examples:
        path = Path(self.args.data) / name
        if not path.exists():
            raise BadInput(f"{path} does not exist")
        return read_examples(path, self.args.train_on, context, self.config.vocab_size)

    def _shard(self) -> None:
        mesh = init_device_mesh(self.device.type, (self.world,))
        kind = {"mesh": mesh}
        if self.device.type == "cuda":
            kind["mp_policy"] = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        for layer in [m for m in self.model.modules() if type(m).__name__.endswith("DecoderLayer")]:
            fully_shard(layer, **kind)
        fully_shard(self.model, **kind)

    def fit(self, stop: Stop) -> bool:
        """Trains to the end; false when a signal came first. Either way the newest state is in a checkpoint."""
        first, progress = checkpoints.load_latest(self.run / "checkpoints", self.model, self.optimizer)
        if progress and progress["train"] != self.train.sha256:
            raise BadInput("train.jsonl has changed since the run began; another --run-folder begins anew")
        self.progress |= progress
        self._announce(first)
        done = first
        for step in range(first, self.steps):
            if self.args.patience and self.progress["waited"] >= self.args.patience:
                break
            if stop.agreed() or self.reporter.is_closed:
                self._checkpoint(step)
                self.reporter.say("interrupted", step=step)
                return False
            loss, norm, rate, tokens = self._step(step)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise BadInput(f"the loss is no number any more at step {step + 1}: go on from a checkpoint with a lower --lr")
            done = step + 1
            is_measured = bool(self.heldout.items) and (done % self.args.evaluate_every == 0 or done == self.steps)
            measured = {"heldout_loss": self._measure(done)} if is_measured else {}
            self.reporter.step(done, self.steps, tokens, loss=loss, lr=rate, gradient_norm=norm, **measured)
            if done % self.args.checkpoint_every == 0:
                self._checkpoint(done)
        self._checkpoint(done)
        return True

    def _announce(self, first: int) -> None:
        self.reporter.say(
            "start",
            step=first,
            steps=self.steps,
            steps_per_epoch=self.schedule.steps_per_epoch,
            parameters=self.parameters,
            trained_parameters=sum(p.numel() for p in self.model.parameters() if p.requires_grad),
            device=self.device.type,
            processes=self.world,
            train_sha256=self.train.sha256,
            train_examples=len(self.train.items),
            train_tokens=sum(len(example.input_ids) for example in self.train.items),
            trained_tokens=sum(example.trained_tokens for example in self.train.items),
            heldout_examples=len(self.heldout.items),
            cut_examples=self.train.cut + self.heldout.cut,
            dropped_examples=self.train.dropped + self.heldout.dropped,
        )

    def _step(self, step: int) -> tuple[float, float, float, int]:
        rate = learning_rate(self.args, step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        batches = self.schedule.groups(step)
        labels = sum(trained_tokens(self.train.items, batch) for batch in batches)
        loss = torch.zeros((), device=self.device)
        for batch, weight in self._shares(batches):
            # FSDP averages over the processes; the loss is a mean over the labels of all of them.
            part = self._loss_sum(self.train.items, batch) * (weight / labels)
            (part * self.world).backward()
            loss += part.detach()
        trained = [p for p in self.model.parameters() if p.requires_grad]
        norm = torch.nn.utils.clip_grad_norm_(trained, self.args.clip or math.inf)
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        self.optimizer.step()
        self.optimizer.zero_grad()
        tokens = sum(len(self.train.items[index].input_ids) for batch in batches for index in batch)
        return self._summed(loss), norm.item(), rate, tokens

    def _shares(self, batches: list[list[int]]) -> list[tuple[list[int], float]]:
        """This process's batches with their weights. All processes get equally many, since each pass is a meeting of all."""
        own = [(batch, 1.0) for batch in batches[self.rank :: self.world]]
        return own + [(batches[0], 0.0)] * (math.ceil(len(batches) / self.world) - len(own))

    def _loss_sum(self, examples: list[Example], batch: list[int]) -> torch.Tensor:
        ids, labels = padded(examples, batch, self.config.pad_token_id or 0, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            return self.loss_rows.loss_sum(self.model, ids, labels)

    def _summed(self, value: torch.Tensor) -> float:
        if dist.is_initialized():
            dist.all_reduce(value)
        return value.item()

    @torch.no_grad()
    def _measure(self, step: int) -> float:
        """The held-out loss in nats a token; the weights are kept where it is the best so far."""
        self.model.eval()
        items = self.heldout.items
        total = torch.zeros((), device=self.device, dtype=torch.float32)
        for batch, weight in self._shares(batches_of(items, self.args.batch_tokens, None)):
            total += self._loss_sum(items, batch) * weight
        loss = self._summed(total) / sum(example.trained_tokens for example in items)
        if loss < self.progress["best"]:
            self.progress |= {"best": loss, "best_step": step, "waited": 0}
            weights = checkpoints.whole_weights(self.model, self.optimizer)
            if checkpoints.is_first():
                checkpoints.write_atomically(self.run / "best.pt", weights)
        else:
            self.progress["waited"] += 1
        return loss

    def _checkpoint(self, step: int) -> None:
        folder = self.run / "checkpoints"
        checkpoints.save_checkpoint(folder, step, self.model, self.optimizer, self.progress, self.args.keep)
        self.reporter.say("checkpoint", step=step)

    def finish(self) -> None:
        """Writes the best weights as a Hugging Face checkpoint, and what it computes on real examples."""
        best = self.run / "best.pt"
        weights = checkpoints.whole_weights(self.model, self.optimizer)
        if not checkpoints.is_first():
            return
        if best.exists():
            weights = torch.load(best, map_location="cpu", weights_only=True)
        save_result(self.args, self.config, weights, self.run)
        examples = self.heldout.items or self.train.items
        write_reference(self.run, examples, self.args.reference_examples)
        found = {key: self.progress[key] for key in ("best", "best_step")} if self.heldout.items else {}
        self.reporter.say("done", result=str(self.run / "result"), steps=self.steps, **found)


def learning_rate(args, step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to --min-lr-ratio."""
    warmup = max(1, round(args.warmup * steps))
    if step < warmup:
        return args.lr * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return args.lr * (args.min_lr_ratio + (1 - args.min_lr_ratio) * 0.5 * (1 + math.cos(math.pi * share)))


def open_device(args) -> torch.device:
    kind = args.device
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda" and not torch.cuda.is_available():
        raise BadInput("--device cuda: PyTorch finds no CUDA device")
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.set_float32_matmul_precision("high")
    if kind == "cpu":
        torch.use_deterministic_algorithms(True)
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("nccl" if kind == "cuda" else "gloo")
        if kind == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return torch.device(kind, torch.cuda.current_device()) if kind == "cuda" else torch.device(kind)


def main() -> int:
    args = parse_options()
    reporter = Reporter(Path(args.run_folder))
    try:
        device = open_device(args)
        stop = Stop(device)
        if checkpoints.is_first():
            checkpoints.remember_settings(Path(args.run_folder) / "settings.json", vars(args), args.resume)
        reporter.open(is_shown=checkpoints.is_first())
        started = time.monotonic()
        trainer = Trainer(args, device, reporter)
        if not trainer.fit(stop):
            return 130
        trainer.finish()
        reporter.say("end", seconds=round(time.monotonic() - started, 1))
        return 0
    except BadInput as error:
        reporter.fail(str(error))
        return 2
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
