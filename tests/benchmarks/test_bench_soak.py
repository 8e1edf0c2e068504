"""When a soak is called flat."""

from dataclasses import replace

from benchmarks.bench_soak import Part, flat

EVEN = [Part(90.0, 300.0, 40), *[Part(60.0 + number % 3, 350.0, 40) for number in range(9)]]


def test_the_first_part_may_be_dear_and_small() -> None:
    assert flat(EVEN) == []


def test_a_part_that_costs_more_is_named() -> None:
    assert "cost 80 us" in flat([*EVEN[:6], replace(EVEN[6], cpu_us_a_frame=80.0), *EVEN[7:]])[0]


def test_memory_that_grows_is_named() -> None:
    grown = [replace(part, resident_mib=350 + 3 * number) for number, part in enumerate(EVEN)]
    assert "from 356 MiB" in flat(grown)[0]
