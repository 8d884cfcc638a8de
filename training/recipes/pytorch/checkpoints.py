"""Owns what a stopped run needs to go on as if it had never stopped: weights, optimizer, random numbers, position.

Files are written beside their place and renamed: a checkpoint is whole or absent. It knows neither data nor network.
"""

import json
import os
import random
import re
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

from data import BadInput

NAME = re.compile(r"^step-(\d+)\.pt$")
# Whole tensors, gathered on the first process: a run may be resumed on another number of devices.
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
SPREAD = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)


def is_first() -> bool:
    return not dist.is_initialized() or dist.get_rank() == 0


def write_atomically(path: Path, content: object) -> None:
    """Saves with torch.save; after a crash there is the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_suffix(".writing")
    with open(work, "wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    work.rename(path)


def whole_weights(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """All weights on the CPU; empty on every process but the first."""
    return get_state_dict(model, optimizer, options=WHOLE)[0]


def save_checkpoint(folder: Path, step: int, model, optimizer, progress: dict, keep: int) -> None:
    """Writes step-N.pt and deletes all but the `keep` newest. Every process must call it."""
    weights, moments = get_state_dict(model, optimizer, options=WHOLE)
    if not is_first():
        return
    state = {
        "step": step,
        "model": weights,
        "optimizer": moments,
        "progress": progress,
        "torch_rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python_rng": random.getstate(),
    }
    write_atomically(folder / f"step-{step}.pt", state)
    for old in sorted(steps_in(folder))[:-keep]:
        (folder / f"step-{old}.pt").unlink()


def steps_in(folder: Path) -> list[int]:
    names = os.listdir(folder) if folder.exists() else []
    return [int(match[1]) for name in names if (match := NAME.match(name))]


def load_latest(folder: Path, model, optimizer) -> tuple[int, dict]:
    """Restores the newest checkpoint; (0, {}) where there is none. Every process must call it."""
    step = max(steps_in(folder), default=0)
    if step == 0:
        return 0, {}
    path = folder / f"step-{step}.pt"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BadInput(f"{path} cannot be read ({error}); delete it to go on from the one before") from None
    options = SPREAD if dist.is_initialized() else WHOLE
    set_state_dict(model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"], options=options)
    torch.set_rng_state(state["torch_rng"])
    if torch.cuda.is_available() and len(state["cuda_rng"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda_rng"])
    random.setstate(state["python_rng"])
    return state["step"], state["progress"]


# What may differ between a run and its continuation without changing a loss.
FREE = {"resume", "checkpoint_every", "keep", "reference_examples", "threads"}


def remember_settings(path: Path, settings: dict, is_resuming: bool) -> None:
    """Writes the settings of a new run; refuses to go on with others than it began with."""
    if path.exists():
        if not is_resuming:
            raise BadInput(f"{path.parent} holds an earlier run: --resume goes on with it, another --run-folder begins anew")
        for name, value in json.loads(path.read_text()).items():
            if name not in FREE and settings.get(name) != value:
                flag = f"--{name.replace('_', '-')}"
                raise BadInput(f"the run was begun with {flag} {value}, and cannot go on with {settings.get(name)}")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=2) + "\n")
