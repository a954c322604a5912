"""Numbers of many exams side by side, and how far each lies from the others."""

from __future__ import annotations

import numpy as np
from helpers.cohorts import done, failed, summary

from dmcvr.cohort.columns import FEWEST, Columns, Distance


def test_what_an_exam_lacks_is_nan_in_its_column() -> None:
    columns = Columns()
    columns.add(done("a", summary(lv_ef_percent=60.0)))
    columns.add(failed("b"))
    columns.add(done("c", summary(lv_ef_percent=None, lv_mass_g=100.0)))
    columns.add(done("d", summary(lv_ef_percent=50.0)))
    np.testing.assert_array_equal(columns.numbers("lv_ef_percent"), [60, np.nan, np.nan, 50])
    np.testing.assert_array_equal(columns.numbers("lv_mass_g"), [np.nan, np.nan, 100, np.nan])
    assert list(columns.measured) == [1, 0, 1, 1]
    assert {kind: list(rows) for kind, rows in columns.kinds.items()} == {"no heart": [1]}
    assert columns.bounded == []


def test_intervals_stand_beside_the_numbers() -> None:
    columns = Columns()
    columns.add(done("a", summary(lv_ef_percent=60.0)))
    bounded = summary(lv_ef_percent=50.0)
    bounded["measures"]["lv_ef_percent"] |= {"low": 45.0, "high": 55.0}
    columns.add(done("b", bounded))
    assert columns.bounded == ["lv_ef_percent"]
    np.testing.assert_array_equal(columns.numbers("lv_ef_percent", "low"), [np.nan, 45])
    np.testing.assert_array_equal(columns.numbers("lv_ef_percent", "high"), [np.nan, 55])


def test_distance_is_that_of_the_farthest_measure() -> None:
    """1, 2 ... 9: the median is 5 and the median absolute deviation 2; the tenth has EF there, and a mass far away."""
    columns = Columns()
    for n in range(1, 10):
        columns.add(done(str(n), summary(lv_ef_percent=float(n), lv_mass_g=float(n))))
    columns.add(done("far", summary(lv_ef_percent=5.0, lv_mass_g=100.0)))
    columns.add(failed("none"))
    found = Distance.of(columns)
    assert found.names == ("lv_ef_percent", "lv_mass_g")
    masses = np.array([*range(1, 10), 100.0])
    scale = 1.4826 * np.median(np.abs(masses - np.median(masses)))
    np.testing.assert_allclose(found.farthest[9], (100 - np.median(masses)) / scale)
    assert found.which[9] == 1
    assert (found.farthest[10], found.which[10]) == (0, -1)


def test_a_few_exams_and_equal_ones_are_far_from_nothing() -> None:
    few, equal = Columns(), Columns()
    for n in range(FEWEST - 1):
        few.add(done(str(n), summary(lv_ef_percent=float(n))))
    for n in range(FEWEST + 1):
        equal.add(done(str(n), summary(lv_ef_percent=60.0)))
    assert Distance.of(few).names == Distance.of(equal).names == ()
