"""What a cohort is made with, said once and kept beside its results: no two halves of it differ."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmcvr.errors import InputError
from dmcvr.options import KEPT, ImageKind, Kept, Options, chosen_formats

if TYPE_CHECKING:
    from dmcvr.cohort.find import Found

#: Bytes of a key, at least.
LEAST_KEY = 16

#: The file of settings, in OUT.
RECORD = "cohort.json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How every exam of a cohort is reconstructed, and what is kept of it.

    =============  ==================================================================================
    options        as of `dmcvr reconstruct`; `labels_in` may hold {exam}, the name of its folder or file
    keep           what is written, of `KEPT`; run.json and summary.json always are
    label_formats  of the labels, where those are kept
    mesh_formats   of the meshes, likewise
    threads        of each worker's arithmetic
    =============  ==================================================================================
    """

    options: Options = field(default_factory=Options)
    keep: tuple[Kept, ...] = KEPT
    label_formats: tuple[str, ...] = ("nifti",)
    mesh_formats: tuple[str, ...] = ("ply",)
    threads: int = 1

    @property
    def image(self) -> ImageKind:
        """As the options say; undrawn, where nobody is to see it: labels and measures are the same."""
        ours = self.options.method == "dmcvr" and self.options.weights is None and not self.options.draws
        return "warped" if ours and not {"image", "report"} & set(self.keep) else self.options.image

    def of(self, exam: Found) -> Options:
        """The options for one exam."""
        given = self.options.labels_in
        if given is None:
            return self.options
        from dmcvr.io.image import nifti_stem

        return replace(self.options, labels_in=Path(str(given).replace("{exam}", nifti_stem(exam.path))))

    def record(self, root: Path, key: bytes | None) -> dict[str, Any]:
        """As cohort.json keeps them: no path, and no key, but what tells whether it is the same one."""
        from dmcvr.model.weights import describe, find

        weights = {
            "weights": self.options.weights_name,
            "segmenter": self.options.segmenter,
            "generator": self.options.generator_name,
        }
        hashes = {
            f"{name}_sha256": given if given in (None, "none") else describe(find(given)).sha256
            for name, given in weights.items()
        }
        return {
            "dmcvr": version("dmcvr"),
            "input": _digest(os.fsencode(root.resolve())),
            "labels_in": _digest(os.fsencode(self.options.labels_in or "")),
            "pseudonymised": None if key is None else pseudonym("the key of this cohort", key),
            "keep": sorted(self.keep),
            "label_formats": sorted(self.label_formats),
            "mesh_formats": sorted(self.mesh_formats),
            **hashes,
            **self.options.record(),
        }


def chosen_keep(given: str | Sequence[str]) -> tuple[Kept, ...]:
    """What is kept, of "measures,labels"; raises `InputError` for anything else, and for nothing."""
    chosen = chosen_formats("kept", given, KEPT)
    if not chosen:
        raise InputError(f"Expected something to keep: choose of {', '.join(KEPT)}.")
    return tuple(name for name in KEPT if name in chosen)


def pseudonym(name: str, key: bytes) -> str:
    """HMAC-SHA256 of a name, the first 80 bits in base32: one without the key cannot tell who it is, nor try names."""
    digest = hmac.new(key, name.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:10]).decode().lower()


def read_key(path: Path) -> bytes:
    """The key in a file, without a newline at its end; raises `InputError` for one that is short, or not there."""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise InputError(f"The key {path} cannot be read ({error.strerror}): check the path.") from error
    if len(key) < LEAST_KEY:
        raise InputError(
            f"The key in {path} has {len(key)} bytes, expected {LEAST_KEY} or more: make one with "
            "openssl rand -hex 32, and keep it apart from the results."
        )
    return key


def check_out(out: Path) -> None:
    """Raise `InputError` for a folder that holds something else than a cohort, or cannot be one."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: choose a folder with -o.")
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in (RECORD, "locks")):
        raise InputError(f"The folder {out} is not empty, and holds no cohort: choose another with -o.")


def agree_on(out: Path, record: dict[str, Any]) -> None:
    """Keep the record in a new cohort's folder; raises `InputError` where it is an old one's, made with another."""
    path = out / RECORD
    if not path.is_file():
        partial = path.with_name(f".{RECORD}-{os.getpid()}")
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        others = [name for name in record if before.get(name) != record[name]]
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}): choose another folder with -o.") from error
    if others:
        name = others[0]
        advice = "give the same, or choose another folder with -o"
        if name == "input":
            advice = f"choose another folder with -o; if the same exams were only moved, take its line out of {path}"
            if name not in before:
                return
        raise InputError(
            f"The cohort in {out} was begun with another {_said(name, before.get(name), record[name])}: {advice}."
        )


def _said(name: str, before: Any, now: Any) -> str:
    shown = not isinstance(before, str) or not isinstance(now, str) or max(len(before), len(now)) < 30
    return f"{name} ({before}, and now {now})" if shown and name not in ("input", "labels_in") else name


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
