"""Reads exports and compares a trainer's ids and labels with ours; every script here uses it and nothing of ours besides."""

import importlib.metadata
import json
import platform
import sys
from pathlib import Path

FAMILIES = ("seed", "chatml", "phi3")
ROLES = ("user", "assistant")
SYSTEMS = ("plain", "system")


def cases(folder: Path):
    """Each family of tokenizer and template, role, and with or without a system message: name, model folder, exports."""
    for family in FAMILIES:
        for role in ROLES:
            for system in SYSTEMS:
                yield f"{family}/{role}/{system}", folder / family, role, folder / family / f"{role}-exports-{system}"


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def tokenizer_of(folder: Path):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder)


def difference(ids: list[int], labels: list[int], ours: dict) -> str | None:
    """None where ids and labels are ours, up to tokens behind our last one that are not trained."""
    expected_ids, expected_labels = ours["input_ids"], ours["labels"]
    if len(ids) < len(expected_ids):
        return f"has {len(ids)} tokens, ours {len(expected_ids)}"
    for at, pair in enumerate(zip(ids, expected_ids)):
        if pair[0] != pair[1]:
            return f"id {pair[0]} at {at}, ours {pair[1]}"
    for at, pair in enumerate(zip(labels, expected_labels)):
        if pair[0] != pair[1]:
            return f"label {pair[0]} at {at}, ours {pair[1]}"
    tail = [at for at in range(len(expected_ids), len(ids)) if labels[at] != -100]
    return f"trains tokens behind ours at {tail}" if tail else None


def trained_texts(ids: list[int], labels: list[int], tokenizer) -> list[str]:
    """The text of every run of trained tokens, without the end token and white space around it."""
    runs, before = [], -100
    for token, label in zip(ids, labels):
        if label != -100:
            runs = runs if before != -100 else [*runs, []]
            runs[-1].append(token)
        before = label
    return [tokenizer.decode(run, skip_special_tokens=True).strip() for run in runs]


def text_difference(texts: list[str], expected: list[str]) -> str | None:
    """None where the trained texts are those, apart from white space at either end."""
    wanted = [text.strip() for text in expected]
    return None if texts == wanted else f"trains {texts}, wanted {wanted}"


class Results:
    """What came of every check, written as JSON beside the scripts."""

    def __init__(self, trainer: str, packages: list[str]):
        self.trainer = trainer
        self.versions = {"python": platform.python_version()}
        for name in packages:
            self.versions[name] = importlib.metadata.version(name)
        self.checks: list[dict] = []

    def add(self, case: str, what: str, differences: list[str | None], note: str | None = None):
        """One difference a row, None where there is none."""
        wrong = [f"row {row}: {text}" for row, text in enumerate(differences) if text is not None]
        check = {"case": case, "what": what, "rows": len(differences), "equal": len(differences) - len(wrong)}
        if wrong:
            check["differences"] = wrong[:3]
        if note is not None:
            check["note"] = note
        self.checks.append(check)

    def write(self):
        rows = sum(check["rows"] for check in self.checks)
        equal = sum(check["equal"] for check in self.checks)
        result = {"trainer": self.trainer, "versions": self.versions, "rows": rows, "equal": equal, "checks": self.checks}
        path = Path(__file__).parent / "results" / f"{self.trainer}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{self.trainer}: {equal} of {rows} rows equal")
        for check in self.checks:
            if check["equal"] != check["rows"]:
                print(f"  {check['case']} {check['what']}: {check['equal']} of {check['rows']}; {check.get('differences')}")


def exports_folder() -> Path:
    if len(sys.argv) != 2:
        sys.exit(f"Usage: python {sys.argv[0]} FOLDER, where make-exports-cli.ts wrote its exports")
    return Path(sys.argv[1])
