"""The sizes a model comes in. No torch here, so that listing them is instant."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from dmcvr.errors import InputError
from dmcvr.geometry.roi import ROI_MM

#: What a slice with surroundings starts to be drawn from.
StartImage = Literal["mean", "warped"]

#: Of distilled weights, which are asked for what only noise can give.
NO_NOISE = "These weights draw in one call, from no noise: leave out --draws, or use --method published."


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig:
    """E_mor and its head: channels a level, pixels merged at the input (`patch`), images side by side (`images`)."""

    images: int = 1
    patch: int = 2
    channels: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1

    @property
    def reduction(self) -> int:
        """How many pixels one cell of z_mor spans."""
        return int(self.patch * 2 ** (len(self.channels) - 1))


@dataclass(frozen=True, kw_only=True)
class StackSegmenterConfig:
    """The segmenter of acquired slices.

    ================  =========================================================================
    fine_channels     at full resolution
    channels          of each level below it, the first at half resolution
    hears_from        the first of those levels where a slice hears its neighbours
    attention_layers  at the bottleneck, over all slices of a stack
    heads             of each of them
    dropout           of the bottleneck's channels, in training
    ================  =========================================================================
    """

    fine_channels: int = 16
    channels: tuple[int, ...] = (32, 64, 128, 192)
    hears_from: int = 2
    attention_layers: int = 2
    heads: int = 4
    dropout: float = 0.1

    @property
    def reduction(self) -> int:
        """Sides of the slices are multiples of this many pixels."""
        return int(2 ** len(self.channels))


@dataclass(frozen=True, kw_only=True)
class ViewSegmenterConfig:
    """The segmenter of long-axis views: channels at full resolution, and of each level below it; dropout as above."""

    fine_channels: int = 12
    channels: tuple[int, ...] = (24, 48, 80, 112)
    dropout: float = 0.1

    @property
    def reduction(self) -> int:
        """Sides of the views are multiples of this many pixels."""
        return int(2 ** len(self.channels))


@dataclass(frozen=True, kw_only=True)
class OrienterConfig:
    """What tells how a picture lies: channels a level, each level half the resolution of the one before it."""

    patch: int = 4
    channels: tuple[int, ...] = (24, 40, 56)


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """DeepRecon's networks.

    ==============  ===========================================================================
    dimension       of a random vector, and of the code of each convolution
    mapping_layers  from the one to the other
    patch           pixels merged at the output, and at the discriminator's input
    coarsest        side of the coarsest level
    channels        of each level, the coarsest first; each has twice the one before's resolution
    ==============  ===========================================================================
    """

    dimension: int = 192
    mapping_layers: int = 4
    patch: int = 2
    coarsest: int = 4
    channels: tuple[int, ...] = (192, 192, 128, 64, 32)

    @property
    def size(self) -> int:
        """Side of the slices in pixels."""
        return int(self.patch * self.coarsest * 2 ** (len(self.channels) - 1))

    @property
    def codes(self) -> int:
        """Convolutions: one at the coarsest level, two at each other."""
        return 2 * len(self.channels) - 1


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """E_sem: a half U-Net to a vector."""

    patch: int = 2
    channels: tuple[int, ...] = (32, 64, 128, 128)
    blocks: int = 1
    attention_level: int | None = None
    dimension: int = 128


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """The two-code conditional U-Net.

    `join_level` is the level whose resolution is z_mor's: z_mor is concatenated as that level is left
    downwards (the level's down block, or the middle block where it is the deepest).
    `resample_blocks`: resolution changes inside residual blocks with skips of their own (ADM, the paper), or
    by plain pooling and repetition (a third of the cost).
    `morphology_channels` 0 leaves z_mor out: the network of the ablation.
    `surroundings`: the denoiser also sees the two neighbours, warped to the slice's place, and how far they are.
    `prediction` is what the network puts out: the noise (`eps`, the paper) or the velocity (`v`).
    """

    patch: int = 2
    channels: tuple[int, ...] = (48, 96, 192)
    blocks: int = 1
    attention_level: int = 2
    join_level: int = 2
    time_dimension: int = 192
    morphology_channels: int = 96
    dropout: float = 0.0
    resample_blocks: bool = False
    prediction: str = "v"
    surroundings: bool = False


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One size of the whole model.

    `size` is the slices' side in pixels, `steps` the DDIM steps each way; each step of an inversion is corrected
    `corrections` times by fixed point. A slice with surroundings is drawn from time `start` on, with its noise scaled
    by `temperature` (0: there is none, and nothing is inverted): above that time, its noisy state says nothing that its
    neighbours do not. The image in that state is `start_image`: "mean", the expected slice, which costs a call more, or
    "warped", the neighbours' mean. Then a share `texture` of the neighbours' own mean is mixed in, and sharpness is
    brought to a share `detail` of theirs (0: left as it is).

    Training draws its times as T u^`time_power` (1: uniform, as published; above 1: more of the low noise where detail
    is decided), and conditions a share `between` of the slices on their neighbours' mixed codes (0 as published).
    `segmenter` is E_mor with its head. `labeller` labels drawn slices from their surroundings as well; without one,
    that head labels them alone. `stack_segmenter` labels acquired slices, `view_segmenter` long-axis views, `generator`
    is DeepRecon's: networks with weights of their own.
    """

    name: str
    about: str
    size: int
    steps: int
    segmenter: SegmenterConfig
    encoder: EncoderConfig
    denoiser: DenoiserConfig
    start: int = 999
    start_image: StartImage = "mean"
    temperature: float = 1.0
    detail: float = 0.0
    texture: float = 0.5
    corrections: int = 3
    train_steps: int = 1000
    beta: tuple[float, float] = (1e-4, 0.02)
    time_power: float = 1.0
    between: float = 0.0
    labeller: SegmenterConfig | None = None
    stack_segmenter: StackSegmenterConfig = field(default_factory=StackSegmenterConfig)
    view_segmenter: ViewSegmenterConfig = field(default_factory=ViewSegmenterConfig)
    orienter: OrienterConfig = field(default_factory=OrienterConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)

    def __post_init__(self) -> None:
        if self.denoiser.surroundings and self.denoiser.prediction != "v":
            raise InputError(f"Preset {self.name}: with surroundings the denoiser predicts v, not the noise.")
        if self.labeller is not None and not self.denoiser.surroundings:
            raise InputError(f"Preset {self.name}: a labeller needs a denoiser with surroundings.")

    def check_drawing(self, *, steps: int, start: int, image: str, draws: int = 0) -> None:
        """Raise `InputError` where a model of this preset cannot draw so: steps of DDIM, from time `start` on, and so
        many draws from other noise."""
        last = self.train_steps - 1
        if not 1 <= steps <= last:
            raise InputError(f"Expected --steps of 1 to {last}; got {steps}.")
        if not steps <= start <= last:
            raise InputError(f"Expected to start at time {steps} to {last}; got {start}.")
        if draws and not self.temperature:
            raise InputError(NO_NOISE)
        if image != "sharp" and not self.denoiser.surroundings:
            raise InputError(f"Weights of preset {self.name} draw no {image}: use others, or --image sharp.")

    @property
    def pixel_mm(self) -> float:
        """Pixel size of the slices: every preset sees the same square of the world."""
        return ROI_MM / self.size

    def in_one_call(self) -> Preset:
        """The same, drawn in one network call from the warped neighbours' mean alone: how a distilled model draws."""
        return replace(self, steps=1, start_image="warped", temperature=0.0)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


COMPACT = Preset(
    name="compact",
    about="128 px at 1.5 mm, patches of 2 x 2 pixels, velocity prediction; the published way, small",
    size=128,
    steps=20,
    segmenter=SegmenterConfig(),
    encoder=EncoderConfig(),
    denoiser=DenoiserConfig(),
    time_power=1.5,
    between=0.5,
)

#: Compact with aligned neighbours beside the codes.
ALIGNED = replace(
    COMPACT,
    name="aligned",
    about="the default: compact, and the denoiser sees both neighbours, warped to the place between; seconds on a CPU",
    steps=3,
    start=100,
    corrections=0,
    detail=0.94,
    denoiser=replace(COMPACT.denoiser, surroundings=True),
    between=0.85,
    labeller=SegmenterConfig(images=11),
)

#: The ablation of the method's central idea: the same network, blind to the morphology code.
COMPACT_WITHOUT_MORPHOLOGY = replace(
    COMPACT,
    name="compact-without-morphology",
    about="compact without the morphology code: for the ablation table",
    denoiser=replace(COMPACT.denoiser, morphology_channels=0),
)

#: He et al. 2023, as its authors ran it (Sect. 2 and 3.1 there; DiffAE's 256 px network underneath).
PAPER = Preset(
    name="paper",
    about="the published size: 256 px, noise prediction, 100 + 100 steps; for reference and training on a GPU",
    size=256,
    steps=100,
    segmenter=SegmenterConfig(patch=1, channels=(32, 64, 128, 256, 512), blocks=2),
    encoder=EncoderConfig(
        patch=1, channels=(128, 128, 256, 256, 512, 512, 512), blocks=1, attention_level=4, dimension=512
    ),
    denoiser=DenoiserConfig(
        patch=1,
        channels=(128, 128, 256, 256, 512, 512),
        blocks=2,
        attention_level=4,
        join_level=4,
        time_dimension=512,
        morphology_channels=512,
        dropout=0.1,
        resample_blocks=True,
        prediction="eps",
    ),
    stack_segmenter=StackSegmenterConfig(fine_channels=32, channels=(64, 128, 256, 512)),
)

#: For tests of the machinery: trains in seconds, is good for nothing else.
TINY = Preset(
    name="tiny",
    about="a toy for trying out training: learns little, in seconds",
    size=128,
    steps=4,
    segmenter=SegmenterConfig(patch=4, channels=(8, 16), blocks=1),
    encoder=EncoderConfig(patch=4, channels=(8, 16), blocks=1, dimension=16),
    denoiser=DenoiserConfig(
        patch=4,
        channels=(8, 16),
        attention_level=1,
        join_level=1,
        time_dimension=32,
        morphology_channels=8,
    ),
    stack_segmenter=StackSegmenterConfig(
        fine_channels=8, channels=(16, 24, 32, 48), attention_layers=1, heads=2, dropout=0.0
    ),
    view_segmenter=ViewSegmenterConfig(fine_channels=8, channels=(8, 16), dropout=0.0),
    generator=GeneratorConfig(dimension=16, mapping_layers=2, patch=4, coarsest=8, channels=(16, 16, 8)),
)

PRESETS = {preset.name: preset for preset in (COMPACT, ALIGNED, COMPACT_WITHOUT_MORPHOLOGY, PAPER, TINY)}


def get_preset(name: str) -> Preset:
    """A preset by its name; raises `InputError` for an unknown one."""
    if name not in PRESETS:
        raise InputError(f"Unknown preset {name!r}: choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def preset_from_dict(record: dict[str, Any]) -> Preset:
    """The inverse of `Preset.as_dict`, also after a way through JSON."""

    def build(kind: type[Any], values: dict[str, Any]) -> Any:
        return kind(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})

    nested = {
        "segmenter": build(SegmenterConfig, record["segmenter"]),
        "encoder": build(EncoderConfig, record["encoder"]),
        "denoiser": build(DenoiserConfig, record["denoiser"]),
        "orienter": build(OrienterConfig, record.get("orienter", {})),
        "labeller": build(SegmenterConfig, record["labeller"]) if record.get("labeller") else None,
        "stack_segmenter": build(StackSegmenterConfig, record.get("stack_segmenter", {})),
        "view_segmenter": build(ViewSegmenterConfig, record.get("view_segmenter", {})),
        "generator": build(GeneratorConfig, record.get("generator", {})),
    }
    preset: Preset = build(Preset, record | nested)
    return preset
