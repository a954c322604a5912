"""The template's topology: the same for every heart."""

from __future__ import annotations

import numpy as np
import trimesh

from dmcvr.surface.template import PARTS, template


def edges_of(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Undirected edges of faces, and how many faces each has."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    return np.unique(edges, axis=0, return_counts=True)


def test_every_vertex_is_used_and_no_edge_has_three_faces() -> None:
    common = template()
    assert set(common.faces.ravel()) == set(range(common.count))
    _, counts = edges_of(common.faces)
    assert set(counts) == {1, 2}


def test_the_wall_is_closed_but_for_the_mitral_ring_and_the_rv_but_for_its_own() -> None:
    common = template()
    right = [PARTS.index("rv_septum"), PARTS.index("rv_free_wall")]
    edges, counts = edges_of(common.faces[np.isin(common.part, right)])
    assert set(edges[counts == 1].ravel()) == set(common.sets["tricuspid_ring"])
    _, counts = edges_of(common.faces[common.part <= PARTS.index("lv_base")])
    assert set(counts) == {2}  # endocardium, base and epicardium are the wall's whole surface


def test_faces_of_each_ventricle_turn_the_same_way() -> None:
    common = template()
    right = common.faces[common.part >= PARTS.index("rv_septum")]
    for faces in (right, *(common.faces[common.part == n] for n in (0, 1))):
        mesh = trimesh.Trimesh(np.zeros((common.count, 3)), faces, process=False)
        assert mesh.is_winding_consistent


def test_segments_cover_equal_sectors() -> None:
    common = template()
    assert set(common.aha[common.endo].ravel()) == set(range(1, 18))
    np.testing.assert_array_equal(common.aha[common.endo], common.aha[common.epi])
    basal, apical = common.aha[common.endo[0]], common.aha[common.endo[18]]
    np.testing.assert_array_equal(np.bincount(basal)[1:], [8] * 6)
    np.testing.assert_array_equal(np.bincount(apical)[13:], [12] * 4)
    assert list(dict.fromkeys(basal)) == [1, 6, 5, 4, 3, 2]  # from the anterior insertion, away from the septum
    assert set(common.aha[common.septum].ravel()) == {0}


def test_rings_go_around_once() -> None:
    common = template()
    for name in ("mitral_ring", "epicardial_ring", "tricuspid_ring"):
        ring = common.sets[name]
        assert len(set(ring)) == len(ring)
        pairs = {tuple(sorted(pair)) for pair in zip(ring, np.roll(ring, -1), strict=True)}
        rim = {tuple(edge) for edge in edges_of(common.faces)[0]}
        assert pairs <= rim
