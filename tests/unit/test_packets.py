"""Reading packets: what is known stands in them, what is wanted has empty cells, and what they settle exists."""

from dataclasses import replace

import pytest

from replication.dataset import Dataset
from replication.errors import UserError
from replication.study.packets import reading_packet

PACKETS = ("thornberg2022", "thornberg2024", "thijssen2022", "lixue2023", "tenbokkel2023")


def test_the_works_that_open_access_can_settle_have_a_packet(dataset: Dataset) -> None:
    assert set(dataset.packets) == set(PACKETS)


@pytest.mark.parametrize("work", PACKETS)
def test_a_packet_holds_what_is_known_and_room_for_what_is_not(dataset: Dataset, work: str) -> None:
    text = reading_packet(dataset, work)
    lines = text.splitlines()
    claims, directions = dataset.claims, dataset.directions
    for name in (
        *claims.loc[claims["work"] == work, "claim_id"],
        *directions.loc[directions["work"] == work, "direction_id"],
    ):
        assert name in text
    for table in dataset.packets[work].table:
        start = next(i for i, line in enumerate(lines) if line.startswith("## ") and line.endswith(table.title))
        end = next((i for i, line in enumerate(lines[start + 1 :], start + 1) if line.startswith("## ")), len(lines))
        rows = [line for line in lines[start:end] if line.startswith("| ") and "page, table" not in line]
        assert len(rows) == len(table.rows) + table.more
        assert {line.count("|") for line in rows} == {len(table.columns) + 3}


def test_what_a_packet_settles_is_in_the_dataset(dataset: Dataset) -> None:
    known = set(dataset.claims["claim_id"]) | set(dataset.directions["direction_id"])
    named = {name for packet in dataset.packets.values() for table in packet.table for name in table.settles}
    assert named <= known
    assert {"thornberg2024-d05", "lixue2023-009", "tenbokkel2023-003"} <= named


def test_a_claim_that_could_not_be_read_says_so(dataset: Dataset) -> None:
    line = next(x for x in reading_packet(dataset, "lixue2023").splitlines() if x.startswith("| lixue2023-009"))
    assert "could not be read" in line
    held = next(x for x in reading_packet(dataset, "tenbokkel2023").splitlines() if x.startswith("| tenbokkel2023-003"))
    assert "r -.17 [-.21, -.14]" in held


def test_without_a_record_the_directions_make_the_tables(dataset: Dataset) -> None:
    bare = replace(dataset, packets={})
    text = reading_packet(bare, "thornberg2024")
    assert "## 1. Coefficients known by direction only" in text
    assert text.count("| thornberg2024-d0") == 5
    with pytest.raises(UserError, match="nothing of lixue2023 is waiting to be read"):
        reading_packet(bare, "lixue2023")


def test_an_unknown_work_is_named_with_the_nearest(dataset: Dataset) -> None:
    with pytest.raises(UserError, match=r'no work "thornberg2023".*thornberg2024'):
        reading_packet(dataset, "thornberg2023")
