"""`dmcvr bids`: a BIDS dataset in, a dataset of derivatives out, by the arguments that every BIDS App takes."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from dmcvr.cli.reconstruct import check_weights
from dmcvr.errors import InputError
from dmcvr.options import LABEL_FORMATS, MESH_FORMATS, Options, chosen_formats, maybe


@dataclass(frozen=True, kw_only=True)
class Bids(Options):
    """A BIDS dataset's hearts, as a BIDS App: the participants, then the group's tables.

    Exit status 0 where all was done, 3 where some exams failed (logs/ says why), 2 for what cannot be used, 4 where
    nothing can be written.
    """

    bids_dir: Annotated[Positional[Path], arg(help="the dataset, with folders sub-01, sub-02 ...")]
    output_dir: Annotated[Positional[Path], arg(help="the derivatives; what is done there already is left")]
    analysis_level: Annotated[
        Positional[Literal["participant", "group"]], arg(help="reconstruct; or write the tables of all that is done")
    ]
    participant_label: Annotated[tuple[str, ...], maybe("LABEL ...", help="these alone, with or without sub-")] = ()
    session_label: Annotated[tuple[str, ...], maybe("LABEL ...", help="these alone, with or without ses-")] = ()
    skip_bids_validation: Annotated[
        bool, arg(aliases=["--skip-bids-validator"], help="take a folder that does not say that it is a dataset")
    ] = False
    label_format: Annotated[str, arg(metavar="A,B", help="labels as nifti, nrrd (3D Slicer), or none")] = "nifti"
    mesh_format: Annotated[str, arg(metavar="A,B", help="meshes as ply, stl, glb (a beating cine), or none")] = "ply"

    def run(self) -> None:
        from dmcvr.cohort import bids
        from dmcvr.cohort.tables import require_pyarrow

        if not self.bids_dir.is_dir():
            raise InputError(f"There is no folder {self.bids_dir}: give a BIDS dataset.")
        if not self.skip_bids_validation:
            bids.check_dataset(self.bids_dir)
        if self.analysis_level == "group":
            require_pyarrow()
            count = bids.do_group(self.output_dir)
            print(f"{count} exams: open {self.output_dir / 'index.html'} (research software, not a medical device)")
            return
        options = Options(**{f.name: getattr(self, f.name) for f in fields(Options)})
        if options.labels_in is not None:
            raise InputError("--labels-in is one exam's: use dmcvr reconstruct for that exam.")
        options.check()
        check_weights(options)
        formats = {
            "label_formats": chosen_formats("label", self.label_format, LABEL_FORMATS),
            "mesh_formats": chosen_formats("mesh", self.mesh_format, MESH_FORMATS),
        }
        exams = list(bids.find_exams(self.bids_dir, self.participant_label, self.session_label))
        if not exams:
            raise InputError(f"No session is called {', '.join(self.session_label)}: check --session-label.")
        done, failed = bids.do_participants(
            iter(exams),
            self.bids_dir,
            self.output_dir,
            options,
            formats=formats,
            said=lambda text: print(text, flush=True),
        )
        print(f"{done} of {len(exams)} done, in {self.output_dir} (research software, not a medical device)")
        if failed:
            print(f"Why {failed} failed: {self.output_dir / bids.LOGS}", file=sys.stderr)
            sys.exit(3)
