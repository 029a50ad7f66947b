from crowdpoint.counts import Alert, Count, ZoneCount


def test_small_densities_keep_their_digits_in_records() -> None:
    zone = ZoneCount("plaza", 1, 1, 0.000012345678, alert=False)
    record = Count(0, 0.0, None, 1, 1, (zone,)).to_record()
    assert record["zones"]["plaza"]["per_m2"] == 0.0000123457
    alert = Alert("plaza", "raised", "density", 0.000012345678, 0.00001, 0, 0.0, None)
    assert alert.to_record("street.mp4")["value"] == 0.0000123457


def test_unknown_and_empty_densities_differ_in_records() -> None:
    zones = (ZoneCount("a", 0, 0, None, alert=False), ZoneCount("b", 0, 0, 0.0, alert=False))
    record = Count(0, 0.0, None, 0, 0, zones).to_record()["zones"]
    assert (record["a"]["per_m2"], record["b"]["per_m2"]) == (None, 0)
