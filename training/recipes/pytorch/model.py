"""Owns the network: from a configuration or a checkpoint, whole or with LoRA, and back to a Hugging Face folder.

The token files are copied as they are, never rewritten: the template that is served must be the one that was trained,
to the byte. It knows no data and no optimizer.
"""

import json
import shutil
from pathlib import Path

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

from data import IGNORED, BadInput

TOKEN_FILES = [
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "generation_config.json",
]
LORA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SHAPE_FLAGS = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "intermediate": "intermediate_size",
    "vocab": "vocab_size",
}


def build_config(args) -> LlamaConfig:
    """The configuration of a new or of the given network. Flags win over the JSON file; missing ids come from the token files."""
    if args.base is not None:
        config = AutoConfig.from_pretrained(args.base)
        if args.context is not None:
            config.max_position_embeddings = args.context
        return config
    fields = json.loads(Path(args.config).read_text()) if args.config is not None else {}
    fields |= {name: getattr(args, flag) for flag, name in SHAPE_FLAGS.items() if getattr(args, flag) is not None}
    fields["max_position_embeddings"] = args.context or fields.get("max_position_embeddings", 2048)
    if args.rope_theta is not None:
        fields["rope_theta"] = args.rope_theta
    if args.tied is not None:
        fields["tie_word_embeddings"] = args.tied == "yes"
    missing = [flag for flag, name in SHAPE_FLAGS.items() if name not in fields and flag not in ("kv_heads", "intermediate")]
    if missing:
        raise BadInput(f"a model from scratch needs --{missing[0]}, or {SHAPE_FLAGS[missing[0]]} in the file of --config")
    fields.setdefault("num_key_value_heads", fields["num_attention_heads"])
    # Two thirds of four times the width, as LLaMA has it, in steps of 32.
    fields.setdefault("intermediate_size", -(-fields["hidden_size"] * 8 // 3 // 32) * 32)
    if fields["hidden_size"] % fields["num_attention_heads"] and "head_dim" not in fields:
        raise BadInput(f"--hidden {fields['hidden_size']} cannot be shared among --heads {fields['num_attention_heads']}")
    return LlamaConfig(**token_ids(Path(args.tokenizer)) | fields)


def token_ids(folder: Path) -> dict[str, int | list[int] | None]:
    """The special ids that a tokenizer folder names, as a configuration writes them."""
    added = {token["content"]: token["id"] for token in json.loads((folder / "tokenizer.json").read_text()).get("added_tokens", [])}
    names = json.loads((folder / "tokenizer_config.json").read_text())
    found: dict[str, int | list[int] | None] = {}
    for kind in ("bos", "eos", "pad"):
        name = names.get(f"{kind}_token")
        found[f"{kind}_token_id"] = added.get(name["content"] if isinstance(name, dict) else name)
    generation = folder / "generation_config.json"
    if generation.exists():
        found |= {key: value for key, value in json.loads(generation.read_text()).items() if key in found}
    return found


def build_model(args, config: LlamaConfig) -> nn.Module:
    """Weights in float32, whatever they are stored in: an optimizer step is often smaller than bfloat16 can tell."""
    attention = {"attn_implementation": "sdpa"}
    if args.base is not None:
        model = AutoModelForCausalLM.from_pretrained(args.base, config=config, dtype=torch.float32, **attention)
    else:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, **attention)
    model.config.use_cache = False
    if args.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if args.method == "lora":
        model = with_lora(model, args)
    return model


def with_lora(model: nn.Module, args) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    model.enable_input_require_grads()
    settings = LoraConfig(
        r=args.lora_rank,
        lora_alpha=args.lora_alpha,
        lora_dropout=args.lora_dropout,
        target_modules=LORA_TARGETS,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, settings)


class LossRows:
    """Lets only the positions that are in the loss reach the output head, which in small models is most of the work."""

    def __init__(self, model: nn.Module):
        self._wanted: torch.Tensor | None = None
        model.get_output_embeddings().register_forward_pre_hook(self._select)

    def _select(self, _module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return inputs if self._wanted is None else (inputs[0][self._wanted],)

    def loss_sum(self, model: nn.Module, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Summed cross entropy, in nats, of the labels, each predicted by the position before it."""
        wanted = torch.zeros_like(labels, dtype=torch.bool)
        wanted[:, :-1] = labels[:, 1:] != IGNORED
        self._wanted = wanted
        try:
            logits = model(input_ids=ids).logits
        finally:
            self._wanted = None
        return nn.functional.cross_entropy(logits.float(), labels[:, 1:][wanted[:, :-1]], reduction="sum")


def save_result(args, config: LlamaConfig, weights: dict[str, torch.Tensor], out: Path) -> None:
    """Writes <out>/result, a checkpoint that transformers loads, and with LoRA also <out>/adapter. `weights` are as trained."""
    work = out / "result.writing"
    shutil.rmtree(work, ignore_errors=True)
    model = build_model(args, config)
    model.load_state_dict(weights)
    if args.method == "lora":
        model.save_pretrained(out / "adapter")
        model = model.merge_and_unload()
    model.config.use_cache = True
    model.to(getattr(torch, args.save_dtype)).save_pretrained(work)
    # What transformers guesses from the configuration gives way to what the token files say.
    (work / "generation_config.json").unlink(missing_ok=True)
    for name in TOKEN_FILES:
        source = Path(args.tokenizer) / name
        if source.exists():
            shutil.copyfile(source, work / name)
    if not (work / "generation_config.json").exists():
        ids = {key: value for key, value in token_ids(Path(args.tokenizer)).items() if value is not None}
        (work / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n")
    result = out / "result"
    shutil.rmtree(result, ignore_errors=True)
    work.rename(result)


def load_result(out: Path) -> nn.Module:
    """What was saved, as anybody would load it, in float32."""
    return AutoModelForCausalLM.from_pretrained(out / "result", dtype=torch.float32).eval()
