"""A heart that beats, in one file: binary glTF 2.0 (ISO/IEC 12113).

The fitted template has the same vertices in every phase, so it morphs: each phase is a morph target, and the weights
pass from one to the next and around.

Surfaces of different phases have different vertices and cannot morph. Each phase is a node; an animation gives the node
whose turn it is the scale 1 and all others 0, in steps. What is hidden shrinks to the heart's middle, so that viewers
frame the heart alone. Whatever plays glTF plays both.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmcvr.labels.colours import COLOURS, linear
from dmcvr.surface.fit import Fitted
from dmcvr.surface.template import PARTS, template
from dmcvr.surface.triangles import Triangles

#: Red, green, blue, opacity of what is shown; the surfaces of lv_myocardium are the first two's already.
SHOWN = {
    "lv_cavity": (*linear(COLOURS[1]), 1.0),
    "lv_epicardium": (*linear(COLOURS[2]), 0.35),
    "rv_cavity": (*linear(COLOURS[3]), 1.0),
}

#: RAS+ mm to glTF's frame, column by column: metres, x to the patient's left, y up (superior), z anterior.
TO_GLTF = (-0.001, 0, 0, 0, 0, 0, 0.001, 0, 0, 0.001, 0, 0, 0, 0, 0, 1)

NOTE = (
    "dmcvr; below the node 'patient' everything is in RAS+ world coordinates in mm: vertices plus the translation of "
    "the node 'heart'. The node 'patient' turns them into glTF's metres, y up."
)

#: What each structure shows of the template.
SHOWN_PARTS = {
    "lv_cavity": ("lv_endocardium",),
    "lv_epicardium": ("lv_epicardium", "lv_base"),
    "rv_cavity": ("rv_septum", "rv_free_wall"),
}

_FLOAT, _UINT = 5126, 5125


def beating_glb(hearts: Mapping[str, Mapping[str, Triangles]], beat_s: float, about: str = "") -> bytes:
    """Meshes in RAS+ mm, by phase in order and by structure, to GLB; several phases take `beat_s` seconds together.

    What is to be said `about` them stands in the file's note, first.
    """
    file = _File(_note(about))
    shown = {phase: {name: meshes[name] for name in SHOWN if name in meshes} for phase, meshes in hearts.items()}
    limits = np.concatenate([mesh.bounds for meshes in shown.values() for mesh in meshes.values()])
    middle = (limits.min(axis=0) + limits.max(axis=0)) / 2
    phases = [
        file.node(f"phase {phase}", [file.mesh_node(name, mesh, middle) for name, mesh in meshes.items()])
        for phase, meshes in shown.items()
    ]
    heart = file.node("heart", phases, translation=middle.tolist())
    file.tree["scenes"][0]["nodes"] = [file.node("patient", [heart], matrix=TO_GLTF)]
    if len(phases) > 1:
        file.switch(phases, beat_s)
    return file.to_bytes()


def morphing_glb(fitted: Fitted, beat_s: float, about: str = "") -> bytes:
    """The fitted template (P phases) to GLB, its parts as the structures they border; one beat takes `beat_s`.

    What is to be said `about` it stands in the file's note, first.
    """
    common, file = template(), _File(_note(about))
    count = len(fitted.vertices_mm)
    limits = fitted.vertices_mm.reshape(-1, 3)
    middle = (limits.min(axis=0) + limits.max(axis=0)) / 2
    nodes = []
    for name, parts in SHOWN_PARTS.items():
        faces = fitted.faces[np.isin(common.part, [PARTS.index(part) for part in parts])]
        used, index = np.unique(faces, return_inverse=True)
        shapes = [Triangles(phase[used], index.reshape(-1, 3)) for phase in fitted.vertices_mm]
        nodes.append(file.morphing_node(name, shapes, middle))
    heart = file.node("heart", nodes, translation=middle.tolist())
    file.tree["scenes"][0]["nodes"] = [file.node("patient", [heart], matrix=TO_GLTF)]
    file.morph(nodes, count, beat_s)
    return file.to_bytes()


def _note(about: str) -> str:
    return f"{about}. {NOTE}" if about else NOTE


class _File:
    """A glTF tree and its binary data, as they grow."""

    def __init__(self, note: str) -> None:
        self._data = bytearray()
        self.tree: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "dmcvr", "extras": {"note": note}},
            "scene": 0,
            "scenes": [{}],
            "nodes": [],
            "meshes": [],
            "materials": [_material(name, colour) for name, colour in SHOWN.items()],
            "accessors": [],
            "bufferViews": [],
        }

    def node(self, name: str, children: list[int], **about: Any) -> int:
        return self._add("nodes", {"name": name, **({"children": children} if children else {}), **about})

    def morphing_node(self, name: str, shapes: list[Triangles], middle: NDArray[np.float64]) -> int:
        """The first of the shapes, and the way from there to each of the others; their faces are the same."""
        node = self.mesh_node(name, shapes[0], middle)
        mesh = self.tree["meshes"][self.tree["nodes"][node]["mesh"]]
        mesh["primitives"][0]["targets"] = [
            {
                "POSITION": self._array(
                    (shape.vertices - shapes[0].vertices).astype("<f4"), _FLOAT, "VEC3", limits=True
                ),
                "NORMAL": self._array(_normals(shape) - _normals(shapes[0]), _FLOAT, "VEC3"),
            }
            for shape in shapes[1:]
        ]
        mesh["weights"] = [0] * (len(shapes) - 1)
        return node

    def morph(self, nodes: list[int], count: int, beat_s: float) -> None:
        """Pass from each of the `count` shapes to the next in equal times, and back to the first."""
        times = self._array(np.linspace(0, beat_s, count + 1, dtype="<f4"), _FLOAT, "SCALAR", limits=True)
        weights = np.eye(count, dtype="<f4")[[*range(count), 0], 1:]  # (times, targets)
        output = self._array(weights.ravel(), _FLOAT, "SCALAR")
        samplers = [{"input": times, "output": output, "interpolation": "LINEAR"}]
        channels = [{"sampler": 0, "target": {"node": node, "path": "weights"}} for node in nodes]
        self.tree["animations"] = [{"name": "heartbeat", "samplers": samplers, "channels": channels}]

    def mesh_node(self, name: str, mesh: Triangles, middle: NDArray[np.float64]) -> int:
        primitive = {
            "attributes": {
                "POSITION": self._array((mesh.vertices - middle).astype("<f4"), _FLOAT, "VEC3", limits=True),
                "NORMAL": self._array(_normals(mesh), _FLOAT, "VEC3"),
            },
            "indices": self._array(mesh.faces.astype("<u4").ravel(), _UINT, "SCALAR"),
            "material": list(SHOWN).index(name),
        }
        return self.node(name, [], mesh=self._add("meshes", {"name": name, "primitives": [primitive]}))

    def switch(self, nodes: list[int], beat_s: float) -> None:
        """Show the nodes one after the other, each for an equal part of the beat."""
        count = len(nodes)
        times = self._array(np.linspace(0, beat_s, count + 1, dtype="<f4"), _FLOAT, "SCALAR", limits=True)
        shown = np.eye(count, dtype="<f4")[[*range(count), count - 1]]  # (times, phases)
        outputs = [self._array(np.repeat(turn[:, None], 3, axis=1), _FLOAT, "VEC3") for turn in shown.T]
        samplers = [{"input": times, "output": output, "interpolation": "STEP"} for output in outputs]
        channels = [{"sampler": n, "target": {"node": node, "path": "scale"}} for n, node in enumerate(nodes)]
        self.tree["animations"] = [{"name": "heartbeat", "samplers": samplers, "channels": channels}]
        for node in nodes[1:]:  # a viewer that does not play shows the first phase
            self.tree["nodes"][node]["scale"] = [0, 0, 0]

    def to_bytes(self) -> bytes:
        self.tree["buffers"] = [{"byteLength": len(self._data)}]
        text = json.dumps(self.tree, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(self._data), b"BIN\0") + bytes(self._data)
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

    def _array(self, values: NDArray[Any], component: int, kind: str, *, limits: bool = False) -> int:
        """An accessor of values of four bytes each, so that everything stays aligned."""
        data = np.ascontiguousarray(values).tobytes()
        view = self._add("bufferViews", {"buffer": 0, "byteOffset": len(self._data), "byteLength": len(data)})
        self._data += data
        accessor = {"bufferView": view, "componentType": component, "count": len(values), "type": kind}
        if limits:
            accessor |= {"min": np.atleast_1d(values.min(axis=0)).tolist()}
            accessor |= {"max": np.atleast_1d(values.max(axis=0)).tolist()}
        return self._add("accessors", accessor)

    def _add(self, where: str, what: dict[str, Any]) -> int:
        self.tree[where].append(what)
        return len(self.tree[where]) - 1


def _material(name: str, colour: tuple[float, ...]) -> dict[str, Any]:
    surface = {"baseColorFactor": list(colour), "metallicFactor": 0, "roughnessFactor": 0.6}
    clear: dict[str, Any] = {"alphaMode": "BLEND"} if colour[3] < 1 else {}
    return {"name": name, "pbrMetallicRoughness": surface, "doubleSided": True, **clear}


def _normals(mesh: Triangles) -> NDArray[np.float32]:
    """(V, 3) unit vectors, as glTF wants them even where a vertex has none."""
    normals = np.array(mesh.vertex_normals, dtype="<f4")
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 0, normals / np.where(length > 0, length, 1), [0, 0, 1]).astype("<f4")
