from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

from support.activities import SETTINGS, compiled, findings_of, moved, write_files
from targetry.activities.compile.compiler import Compilation
from targetry.activities.model.lock_file import Lock, parse_lock, render_lock
from targetry.activities.model.windows import Span, total_width


def split(shares: dict[str, float], traffic: float = 100, more: str = "") -> str:
    experiences = "".join(
        f"  - {{key: {key}, share: {share}, offers: [{{mbox: m, html: {key}}}]}}\n"
        for key, share in shares.items()
    )
    return f"key: a\ntraffic: {traffic}\nexperiences:\n{experiences}{more}"


def laid_out(folder: Path, text: str, lock: Lock | None = None) -> Compilation:
    result = compiled(write_files(folder, {"a.yaml": text}), lock)
    assert result.findings == []
    assert parse_lock(render_lock(result.lock)) == result.lock
    return result


def windows(result: Compilation, key: str = "a") -> dict[str, list[tuple[float, float]]] | None:
    return result.layout.activities[key].windows


def test_ramp_keeps_its_lanes(tmp_path: Path) -> None:
    first = laid_out(tmp_path, split({"x": 50, "y": 50}, 10))
    assert windows(first) == {"x": [(0, 5)], "y": [(50, 55)]}
    second = laid_out(tmp_path, split({"x": 50, "y": 50}, 20), first.lock)
    assert windows(second) == {"x": [(0, 10)], "y": [(50, 60)]}


def test_changed_shares_move_few_visitors(tmp_path: Path) -> None:
    first = laid_out(tmp_path, split({"x": 50, "y": 30, "z": 20}))
    second = laid_out(tmp_path, split({"x": 20, "y": 30, "z": 50}), first.lock)
    assert windows(second) == {"x": [(0, 20)], "y": [(50, 80)], "z": [(20, 50), (80, 100)]}
    again = laid_out(tmp_path, split({"x": 20, "y": 30, "z": 50}), second.lock)
    assert again.lock == second.lock


def test_experience_of_two_windows_is_two_rules(tmp_path: Path) -> None:
    first = laid_out(tmp_path, split({"x": 50, "y": 30, "z": 20}))
    second = laid_out(tmp_path, split({"x": 20, "y": 30, "z": 50}), first.lock)
    rules = second.artifacts["production"]["rules"]["mboxes"]["m"]
    assert [rule["meta"]["experience.name"] for rule in rules] == ["x", "y", "z", "z"]
    assert rules[2]["consequence"] == rules[3]["consequence"]


def test_without_lock_windows_are_laid_out_afresh(tmp_path: Path) -> None:
    first = laid_out(tmp_path, split({"x": 50, "y": 30, "z": 20}))
    second = laid_out(tmp_path, split({"x": 20, "y": 30, "z": 50}), Lock())
    assert first.lock != second.lock
    assert windows(second) == {"x": [(0, 20)], "y": [(20, 50)], "z": [(50, 100)]}


def test_ids_of_experiences_stay_and_are_not_given_again(tmp_path: Path) -> None:
    first = laid_out(tmp_path, split({"x": 50, "y": 50}))
    second = laid_out(tmp_path, split({"y": 100}), first.lock)
    third = laid_out(tmp_path, split({"z": 20, "y": 60, "x": 20}), second.lock)
    assert first.layout.activities["a"].experience_ids == {"x": 0, "y": 1}
    assert second.layout.activities["a"].experience_ids == {"y": 1}
    assert third.layout.activities["a"].experience_ids == {"z": 2, "y": 1, "x": 0}


def test_renamed_activity_keeps_id_and_windows(tmp_path: Path) -> None:
    first = laid_out(tmp_path, split({"x": 30, "y": 70}))
    second = laid_out(tmp_path, split({"x": 70, "y": 30}), first.lock)
    renamed = split({"x": 70, "y": 30}, more="renamed_from: a\n").replace("key: a\n", "key: b\n", 1)
    third = laid_out(tmp_path, renamed, second.lock)
    assert third.layout.activities["b"] == second.layout.activities["a"]
    fourth = laid_out(tmp_path, renamed.replace("renamed_from: a\n", ""), third.lock)
    assert fourth.layout.activities["b"] == third.layout.activities["b"]


def test_paused_activity_keeps_its_windows(tmp_path: Path) -> None:
    first = laid_out(tmp_path, split({"x": 50, "y": 50}))
    second = laid_out(tmp_path, split({"x": 20, "y": 80}), first.lock)
    paused = laid_out(tmp_path, split({"x": 20, "y": 80}, more="state: paused\n"), second.lock)
    assert paused.lock == second.lock
    assert paused.artifacts["production"]["rules"]["mboxes"] == {}


def test_given_windows_need_no_lock(tmp_path: Path) -> None:
    text = split({"x": 50}).replace("share: 50", "windows: [[0, 10], [50, 60.5]]")
    result = laid_out(tmp_path, text)
    assert windows(result) == {"x": [(0, 10), (50, 60.5)]}
    assert result.lock == Lock()


def group_files(first: float = 50, second: float = 45, holdout: float = 5, more: str = "") -> dict[str, str]:
    members = f"[{{activity: one, share: {first}}}, {{activity: two, share: {second}}}]"
    settings = f"{SETTINGS}groups:\n  checkout: {{holdout: {holdout}, members: {members}{more}}}\n"
    one = split({"x": 50, "y": 50}).replace("key: a", "key: one", 1).replace("mbox: m", "mbox: one")
    two = "key: two\ntype: xt\nexperiences: [{key: z, offers: [{mbox: two, html: z}]}]\n"
    return {"targetry.yaml": settings, "one.yaml": one, "two.yaml": two}


def test_members_of_a_group_have_one_id_and_their_own_slices(tmp_path: Path) -> None:
    result = compiled(write_files(tmp_path, group_files()))
    assert result.findings == []
    one, two = (result.layout.activities[key] for key in ("one", "two"))
    assert one.id == two.id
    assert one.windows == {"x": [(5, 30)], "y": [(30, 55)]}
    assert two.windows == {"z": [(55, 100)]}
    assert (one.experience_ids, two.experience_ids) == ({"x": 0, "y": 1}, {"z": 2})
    (rule,) = result.artifacts["production"]["rules"]["mboxes"]["two"]
    assert rule["ruleKey"] == f"{two.id}-two"
    assert rule["meta"]["activity.member"] == "two"
    assert rule["meta"]["activity.name"] == "two"


def test_recorded_holdout_gets_default_content_at_the_places_of_members(tmp_path: Path) -> None:
    files = group_files(more="], record_holdout: true").items()
    result = compiled(write_files(tmp_path, {name: text.replace("]]", "]") for name, text in files}))
    rules = result.artifacts["production"]["rules"]["mboxes"]
    holdout = [
        rule for place in ("one", "two") for rule in rules[place] if rule["ruleKey"].endswith("-holdout")
    ]
    assert [rule["meta"]["experience.id"] for rule in holdout] == [3, 3]
    assert holdout[0]["condition"]["and"][1] == {">=": [5, {"var": "allocation"}]}
    assert list(holdout[0]["consequence"]["options"][0]) == ["eventToken"]


def test_changed_group_moves_few_visitors(tmp_path: Path) -> None:
    first_result = compiled(write_files(tmp_path, group_files()))
    lock, before = first_result.lock, owners(first_result)
    rng = random.Random(3)
    for _ in range(30):
        first = rng.randint(1, 60)
        second = rng.randint(1, 95 - first)
        result = compiled(write_files(tmp_path, group_files(first, second)), lock)
        assert result.findings == []
        one, two = (result.layout.activities[key].windows or {} for key in ("one", "two"))
        used = sorted([*one["x"], *one["y"], *two["z"], *result.layout.holdouts["checkout"][1]])
        assert all(high <= low for (_, high), (low, _) in pairwise(used))
        assert sum(high - low for low, high in two["z"]) == second
        assert result.layout.holdouts["checkout"][1] == [(0, 5)]
        assert compiled(tmp_path, result.lock).lock == result.lock
        change = moved(before, after := owners(result))
        lost = sum(max(0, total_width(before[key]) - total_width(after[key])) for key in before)
        assert abs(change["switched"] + change["left"] - lost) <= 1
        lock, before = result.lock, after


def owners(result: Compilation) -> dict[str, list[Span]]:
    """Return the windows of a group's experiences in hundredths of a percent."""
    return {
        experience: [(round(low * 100), round(high * 100)) for low, high in spans]
        for key in ("one", "two")
        for experience, spans in (result.layout.activities[key].windows or {}).items()
    }


def test_slice_of_a_former_member_stays_reserved(tmp_path: Path) -> None:
    lock = compiled(write_files(tmp_path, group_files())).lock
    files = group_files(95)
    files["targetry.yaml"] = files["targetry.yaml"].replace(", {activity: two, share: 45}", "")
    result = compiled(write_files(tmp_path, files), lock)
    assert "add up to 145 %" in str(result.findings[0])
    files["targetry.yaml"] = files["targetry.yaml"].replace("share: 95", "share: 50")
    result = compiled(write_files(tmp_path, files), lock)
    assert result.findings == []
    assert result.lock.groups["checkout"].rest == {"two": [(5500, 10000)]}
    assert compiled(tmp_path, result.lock).lock == result.lock


def test_member_without_activity_and_activity_without_member_are_errors(tmp_path: Path) -> None:
    files = group_files()
    files["one.yaml"] += "group: other\n"
    files["two.yaml"] = files["two.yaml"].replace("key: two", "key: three")
    found = findings_of(tmp_path, files)
    assert found == [
        "targetry.yaml:4:75: error TA004: there is no activity 'two'",
        "one.yaml:6:8: error TA004: the group 'other' has no member 'one'; add it to groups.other.members",
    ]
