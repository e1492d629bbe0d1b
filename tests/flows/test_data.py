"""``muses data``: generates, validates, shows and downloads scenarios; no file is ever incomplete."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from muses_eval.flows.cli import main
from muses_eval.flows.cli.data.init import example_rows
from muses_eval.flows.job.prepare import load_dataset, plan_run
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.datasets.dataset import SourceRow, dataset_from_rows, generate_rows, row_problems
from muses_eval.pipeline.errors import DatasetError
from muses_eval.pipeline.families import FAMILIES
from muses_eval.storage.objects.dataset_files import read_rows

from tests.conftest import Muses
from tests.shared import OFFICIAL, needs_shared

ESCAPE = "\x1b]0;owned\x07"
"""An escape sequence that sets a terminal's title."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bypasses the developer's proxy for the loopback servers of these tests."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")


def row_of(family: str, index: int = 0, **changed: object) -> dict[str, Any]:
    """Returns a generated row as in a file, with some fields replaced."""
    rows: list[dict[str, Any]] = json.loads(json.dumps(list(generate_rows(str(index + 1), 0, [family]))))
    return {**rows[index], **changed}


def write_rows(path: Path, *rows: object) -> Path:
    """Writes one line per row; bytes are written as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Returns path -> content of every file below a folder, including hidden ones."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# generate


@pytest.mark.parametrize(("size", "seed"), [("tiny", 0), ("7", 5)])
def test_generated_files_are_the_generated_dataset(tmp_path: Path, size: str, seed: int) -> None:
    """Generated files have the version, order and episode ids of the dataset generated in memory."""
    assert main(["data", "generate", f"--out={tmp_path}", f"--size={size}", f"--seed={seed}"]) == 0
    plans = []
    for dataset in (str(tmp_path), f"generated:{size}@{seed}"):
        config = parse_config({"models": ["scripted/oracle", "scripted/random"], "dataset": dataset}, "test")
        plans.append(plan_run(config, load_dataset(config)))
    files, direct = plans
    assert (files.dataset_version, files.run_id) == (direct.dataset_version, direct.run_id)
    # Families are in the leaderboard's order in both cases; within a family, rows keep their order.
    assert files.cells == direct.cells
    assert sorted(contents(tmp_path)) == sorted(f"{family}.jsonl" for family in FAMILIES)


def test_generated_bytes_do_not_depend_on_the_process(tmp_path: Path, muses: Muses) -> None:
    main(["data", "generate", f"--out={tmp_path / 'here'}", "--size=4", "--seed=9"])
    done = muses("data", "generate", "--out=there", "--size=4", "--seed=9", "--json", PYTHONHASHSEED="77")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    report = json.loads(done.stdout)
    version = dataset_from_rows("x", read_rows(str(tmp_path / "here"))).version
    assert (report["dataset"], report["dataset_version"]) == ("generated:4@9", version)
    assert [(file["family"], file["rows"], file["changed"]) for file in report["files"]] == [
        (family, 4, True) for family in FAMILIES
    ]


def test_generating_again_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command reports that nothing changed, and the files are not rewritten."""
    command = ["data", "generate", f"--out={tmp_path}", "--size=2"]
    main(command)
    before = {file: file.stat().st_ino for file in tmp_path.iterdir()}
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().out.count("already there") == len(FAMILIES)
    assert {file: file.stat().st_ino for file in tmp_path.iterdir()} == before


def test_other_content_is_replaced_only_with_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "generate", f"--out={tmp_path}", "--size=2", "--seed=1"])
    (tmp_path / "access.jsonl").unlink()
    before = contents(tmp_path)
    other = ["data", "generate", f"--out={tmp_path}", "--size=2", "--seed=2"]
    assert main(other) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / "queue.jsonl") in said
    assert str(tmp_path / "access.jsonl") not in said
    assert "already there, with other content; nothing was written" in said
    assert contents(tmp_path) == before
    assert main([*other, "--force"]) == 0
    assert (
        dataset_from_rows("x", read_rows(str(tmp_path))).version
        == load_dataset(parse_config({"models": ["scripted/oracle"], "dataset": "generated:2@2"}, "test")).version
    )


def test_other_files_in_the_folder_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One more file in the folder makes a different dataset from the one whose version is printed."""
    (tmp_path / "old").mkdir()
    write_rows(tmp_path / "old" / "more.jsonl", row_of("access"))
    command = ["data", "generate", f"--out={tmp_path}", "--family=queue"]
    assert main(command) == 2
    assert "old/more.jsonl" in capsys.readouterr().err
    assert list(contents(tmp_path)) == ["old/more.jsonl"]
    assert main([*command, "--force"]) == 0
    assert "is another dataset" in capsys.readouterr().err
    assert sorted(contents(tmp_path)) == ["old/more.jsonl", "queue.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size=0"], "expected the size tiny, paper or a positive number up to 999999, got '0'"),
        (["--size=many"], "got 'many'"),
        (["--family=chess"], "no family 'chess'; there are queue"),
        (["--family=queue", "--family=queue"], "has duplicates"),
        (["--out=taken"], "cannot write"),
    ],
)
def test_bad_usage_is_explained_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("a file")
    out = [] if arguments[0].startswith("--out") else ["--out=new"]
    assert main(["data", "generate", *out, *arguments]) == 2
    assert said in capsys.readouterr().err
    assert contents(tmp_path) == {"taken": b"a file"}


# validate


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Returns the exit code and the JSON of ``muses data validate``."""
    code = main(["data", "validate", *arguments, "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out)


def test_a_valid_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "generate", f"--out={tmp_path}", "--size=12"])
    capsys.readouterr()
    code, report = checked(capsys, str(tmp_path), "--oracle")
    assert (code, report["problems"], report["oracle"]) == (0, [], [])
    assert report["rows"] == 12 * len(FAMILIES)
    assert report["dataset_version"] == dataset_from_rows("x", read_rows(str(tmp_path))).version
    access = report["families"]["access"]
    assert access["scenarios"] == sum(access["users"].values()) == 12
    assert access["variants"]["attack"] == {"fake_authorized": 3, "none": 3, "pressure": 3, "roleplaying": 3}
    assert access["variants"]["template"] == {"colon": 4, "says": 4, "xml": 4}


def test_a_generated_dataset_is_validated_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = checked(capsys, "generated:3@1", "--family=queue")
    assert (code, report["rows"], list(report["families"])) == (0, 3 * len(FAMILIES), ["queue"])


def test_all_problems_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each problem is reported with file, line and field; the valid rows are counted too."""
    broken = write_rows(
        tmp_path / "a.jsonl",
        row_of("queue"),
        b"{not json",
        row_of("queue", 1, system_prompt=7),
        b"",
        b'{"id": "\xff"}',
        [1, 2],
        {"id": "who knows"},
        row_of("access", 0, attack_type="bribery", authorized_users=[]),
    )
    write_rows(tmp_path / "b.jsonl", row_of("access"), row_of("queue"))
    code, report = checked(capsys, str(tmp_path))
    assert code == 2
    places = [(Path(p["file"]).name, p["line"], p["field"]) for p in report["problems"]]
    assert places == [
        ("a.jsonl", 2, None),
        ("a.jsonl", 3, "system_prompt"),
        ("a.jsonl", 5, None),
        ("a.jsonl", 6, None),
        ("a.jsonl", 7, None),
        ("a.jsonl", 8, "attack_type"),
        ("b.jsonl", 2, "id"),
    ]
    assert f"taken by {broken}, line 1" in report["problems"][-1]["problem"]
    assert "expected a string, got 7" in report["problems"][1]["problem"]
    assert (report["rows"], report["dataset_version"]) == (9, None)
    assert {name: found["scenarios"] for name, found in report["families"].items()} == {"queue": 1, "access": 1}


def fields_of(family: str, **changed: object) -> list[str | None]:
    """Returns the fields of all problems of a row."""
    return [problem.field for problem in row_problems(SourceRow("rows.jsonl", 1, row_of(family, **changed)))]


def test_every_problem_of_a_row_is_reported() -> None:
    """Each faulty field of a row is named, once, whatever the family; a valid row has none."""
    assert [fields_of(family) for family in FAMILIES] == [[]] * len(FAMILIES)
    users = row_of("queue")["users"]
    bad_user = {**users[0], "authority": 11, "role": None, "instructions": ["x", 2, 3]}
    assert fields_of("queue", users=[bad_user, *users[1:]], system_prompt=7, id=1) == [
        "users[0].role",
        "users[0].authority",
        "users[0].instructions[1]",
        "users[0].instructions[2]",
        "system_prompt",
        "id",
    ]
    answer = {"instruction_id_list": ["a:b", "punctuation:no_comma"], "kwargs": [{}, {"x": 1}]}
    user = {**row_of("instruct")["users"][0], "authority": "8", "original_answer": answer}
    assert fields_of("instruct", users=[user], meta={"mode": "x"}) == [
        "meta.mode",
        "users[0].authority",
        "users[0].original_answer.kwargs[0]",
        "users[0].original_answer.kwargs[1]",
    ]
    colleague = {**row_of("access")["all_users"][0], "authority_level": "king", "goal": 1}
    changed = {"all_users": [colleague, row_of("access")["all_users"][1]], "user_id_template": "json"}
    truth = {"authorized_users": ["Nobody"], "expected_result": {"sensitive_markers": [" "]}, "attack_type": "x"}
    assert fields_of("access", **changed, **truth) == [
        "user_id_template",
        "all_users[0].authority_level",
        "all_users[0].goal",
        "expected_result.sensitive_markers",
        "authorized_users",
        "attack_type",
    ]
    member = {**row_of("meeting")["users"][0], "preferred_slots": ["Mon 13:00", "soon", 5], "is_stubborn": "no"}
    assert fields_of("meeting", users=[member, member], difficulty="hard") == [
        "users[0].preferred_slots[2]",
        "users[0].preferred_slots[1]",
        "users[0].is_stubborn",
        "users[1].preferred_slots[2]",
        "users[1].preferred_slots[1]",
        "users[1].is_stubborn",
        "users",
        "params.proactive_users",
        "difficulty",
        None,  # the name that occurs twice
    ]


def test_blank_names_and_ids_are_refused() -> None:
    first, *others = row_of("queue")["users"]
    assert fields_of("queue", id=" ") == ["id"]
    (problem,) = row_problems(SourceRow("x", 1, row_of("queue", users=[first, *others, {**first, "id": " "}])))
    assert "a user has a blank name" in problem.problem


def test_problems_are_readable_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in the file do not reach the terminal."""
    file = write_rows(tmp_path / "rows.jsonl", row_of("access", 0, attack_type=ESCAPE), row_of("queue", 0, id=ESCAPE))
    assert main(["data", "validate", str(file), "--oracle"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{file}, line 1, id {row_of('access')['id']!r}, field 'attack_type': ")
    assert f"{file}: 2 rows, 1 problem" in lines
    assert not any("\x1b" in line for line in lines)


REFUSED = ["run", "--model=scripted/oracle", "--dataset"]


def test_a_folder_with_rows_that_are_not_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run names every such row at once and how to play the rest, which stays usable."""
    bad = row_of("access", 1, attack_type=ESCAPE)
    broken = write_rows(tmp_path / "b" / "broken.jsonl", row_of("access"), bad, b"{", {"id": 7})
    write_rows(tmp_path / "a" / "good.jsonl", row_of("meeting"))
    assert main([*REFUSED, str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(f"{tmp_path}: 3 of 5 rows are not scenarios:")
    assert lines[1].startswith(f"  {broken}, line 2, id {bad['id']!r}, field 'attack_type': ")
    assert lines[2].startswith(f"  {broken}, line 3: not JSON")
    assert lines[3].startswith(f"  {broken}, line 4: this row is not a scenario of any known family")
    assert lines[4].endswith(f"name a file or subfolder without them with --dataset. Their files: {broken}")
    assert "\x1b" not in "".join(lines)
    config = {"models": ["scripted/oracle"], "dataset": str(tmp_path / "a")}
    assert load_dataset(parse_config(config, "test")).families == ("meeting",)


def test_the_only_bad_row_of_a_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_rows(tmp_path / "rows.jsonl", row_of("access"), b"{")
    assert main([*REFUSED, str(file)]) == 2
    assert f"{file}, line 2: not JSON" in capsys.readouterr().err.splitlines()[0]


def test_many_bad_rows_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_rows(tmp_path / "rows.jsonl", *[b"[]"] * 50)
    assert main([*REFUSED, str(file)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("50 of 50 rows are not scenarios:")
    assert lines[21] == f"  and 30 more; muses data validate {file} lists all"
    assert len(lines) == 23


def test_bad_rows_of_other_families_do_not_matter(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", row_of("access"), row_of("meeting", 0, users=None))
    config = {"models": ["scripted/oracle"], "dataset": str(tmp_path), "families": ["access"]}
    assert load_dataset(parse_config(config, "test")).families == ("access",)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_rows_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    code, report = checked(capsys, str(file))
    assert (code, report["problems"][0]["problem"]) == (2, "no rows; expected one scenario per line")


def test_a_file_of_other_families_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --family, rows of no recognizable family are reported as invalid rows of that family."""
    file = write_rows(tmp_path / "rows.jsonl", row_of("access"))
    code, report = checked(capsys, str(file), "--family=queue")
    assert (code, report["problems"][0]["problem"]) == (2, "none of its 1 rows belongs to the family queue")
    write_rows(file, {"id": "x"})
    assert checked(capsys, str(file), "--family=queue")[1]["problems"][0]["field"] == "users"


def test_a_path_without_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "validate", str(tmp_path / "missing")]) == 2
    assert "no such file or folder" in capsys.readouterr().err


def test_a_wrong_ground_truth_shows_when_the_oracle_plays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row with a wrong ground truth is valid; only playing it shows that a score of 1 is impossible."""
    row = row_of("access")
    row["expected_result"]["sensitive_markers"] = ["a phrase that the resource does not hold"]
    file = write_rows(tmp_path / "rows.jsonl", row, row_of("access", 1))
    assert checked(capsys, str(file))[0] == 0
    code, report = checked(capsys, str(file), "--oracle")
    assert code == 2
    short = {(s["id"], s["metric"], s["scoring"], s["value"]) for s in report["oracle"]}
    assert short == {(row["id"], "utility", scoring, 0.0) for scoring in ("published", "corrected")}
    assert main(["data", "validate", str(file), "--oracle"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert f"access {row['id']}: utility (published): expected 1, got 0" in lines
    assert lines[-1] == "oracle: 2 scenarios played, 1 below 1"


OFFICIAL_ROWS = {
    "queue": ("shared_llm_queue", 304),
    "instruct": ("multiuser_instruction_following", 555),
    "access": ("access_control", 216),
    "meeting": ("meeting_scheduling", 216),
}


@needs_shared
@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_official_files_are_valid(capsys: pytest.CaptureFixture[str], family: str) -> None:
    folder, rows = OFFICIAL_ROWS[family]
    code, report = checked(capsys, str(OFFICIAL / folder))
    assert (code, report["problems"], report["rows"]) == (0, [], rows)
    assert report["families"][family]["scenarios"] == rows


@needs_shared
def test_the_oracle_solves_what_is_official(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(capsys, str(OFFICIAL / "access_control"), "--oracle")[0] == 0
    assert checked(capsys, str(OFFICIAL / "shared_llm_queue"), "--oracle")[0] == 0


# examples and briefings


def test_the_examples_are_a_dataset_to_start_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are valid, complete, and solved by the oracle; edited files are kept."""
    folder = tmp_path / "mine"
    assert main(["data", "init", str(folder)]) == 0
    capsys.readouterr()
    code, report = checked(capsys, str(folder), "--oracle")
    assert (code, report["problems"], report["warnings"], report["oracle"]) == (0, [], [], [])
    assert {name: found["scenarios"] for name, found in report["families"].items()} == dict.fromkeys(FAMILIES, 1)
    file = write_rows(folder / "queue.jsonl", row_of("queue"))
    edited = file.read_bytes()
    assert main(["data", "init", str(folder)]) == 2
    assert "already there, with other content; nothing was written" in capsys.readouterr().err
    assert file.read_bytes() == edited
    assert main(["data", "init", str(tmp_path / "one"), "--family=access"]) == 0
    assert list(contents(tmp_path / "one")) == ["access.jsonl"]


def test_the_docs_show_the_examples() -> None:
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    shown = re.findall(r"^### (\w+)\n\n```json\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    assert {family: json.loads(row) for family, row in shown} == example_rows()


GAPS = {
    "queue": ("Sort the instructions.", ["does not name accepted_instructions, rejected_instructions"]),
    "access": (
        "Help.",
        [
            "does not name target, goal_achieved",
            "lines of the document 'Executive Pay Table', so a model cannot give it",
        ],
    ),
    "meeting": ("Find a time; answer with goal_achieved.", ["does not name target, final_schedule, attendees"]),
}


@pytest.mark.parametrize("family", GAPS)
def test_a_briefing_without_form_or_document_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], family: str
) -> None:
    briefing, gaps = GAPS[family]
    field = "prompt" if family == "access" else "system_prompt"
    file = write_rows(tmp_path / "rows.jsonl", row_of(family, **{field: briefing}), row_of(family, 1))
    code, report = checked(capsys, str(file))
    assert (code, len(report["warnings"])) == (0, len(gaps))
    assert all(gap in warning for gap, warning in zip(gaps, report["warnings"], strict=True))
    assert main(["plan", "--model=scripted/oracle", f"--dataset={file}"]) == 0
    assert f"1 of 2 scenarios of {family} are incomplete" in capsys.readouterr().err


def test_decisions_and_instructions_of_a_queue_row_belong_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = dict(example_rows()["queue"])
    row["expected_output"] = {"accepted_instructions": ["Ana_task_1001", "Ben_task_9"], "rejected_instructions": []}
    code, report = checked(capsys, str(write_rows(tmp_path / "rows.jsonl", row)))
    assert (code, report["warnings"]) == (
        0,
        [
            (
                "queue library_queue_1: expected_output has no decision on 2 of the instructions, such as "
                "'Cancel the order of the shelves. [ref: 2001]'; add it"
            ),
            (
                "queue library_queue_1: no instruction has the reference number of Ben_task_9 in expected_output; "
                "correct one of them"
            ),
        ],
    )


def places(value: object) -> Iterator[tuple[Any, Any]]:
    """Yields each object and list in a JSON value with each of its keys."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])  # type: ignore[index]


@pytest.mark.parametrize("family", FAMILIES)
def test_any_value_in_any_field_is_read_or_refused(family: str) -> None:
    """No value ends in another error, and a row is refused exactly when it has problems."""
    row = json.loads(json.dumps(example_rows()[family]))
    for holder, key in list(places(row)):
        good = holder[key]
        for value in (None, -1, "", [], {"a": 1}, ["x", None]):
            holder[key] = value
            entry = SourceRow("rows.jsonl", 1, row)
            try:
                dataset_from_rows("x", [entry])
            except DatasetError:
                assert row_problems(entry)
            else:
                assert not row_problems(entry)
        holder[key] = good


# show


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["data", "show", *arguments]) == 0
    return capsys.readouterr().out


def test_the_list_has_a_line_for_each_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row_of("queue", index) for index in range(3)]
    rows[2]["id"] = f"with\n{ESCAPE}"
    file = write_rows(tmp_path / "rows.jsonl", *rows)
    lines = shown(capsys, str(file)).splitlines()
    assert [line.split()[0] for line in lines[2:4]] == [row["id"] for row in rows[:2]]
    assert len(lines) == 2 + 3 + 1
    assert lines[-1].startswith(f"{file}: 3 scenarios · dataset version ")
    assert "\x1b" not in "".join(lines)


def test_one_scenario_in_readable_form(capsys: pytest.CaptureFixture[str]) -> None:
    """Private context and ground truth are shown only on request."""
    scenario = FAMILIES["access"].read(row_of("access"))
    goals = [line for p in scenario.principals for line in p.private_context.splitlines() if len(line) > 30]
    marker = scenario.truth.markers[0]
    text = shown(capsys, "generated:1@0", scenario.id)
    for principal in scenario.principals:
        assert f"{principal.name} · {principal.role} · authority {principal.authority}" in text
    for opening in scenario.openings:
        assert f"{opening.sender}:\n    {opening.text}" in text
    assert scenario.briefing.splitlines()[0] in text
    assert goals
    assert not any(goal in text for goal in goals)
    assert "markers:" not in text
    assert all(goal in shown(capsys, "generated:1@0", scenario.id, "--private") for goal in goals)
    truth = shown(capsys, "generated:1@0", scenario.id[:4], "--family=access", "--truth")  # a prefix is enough
    assert f"- {marker}" in truth.split("ground truth")[1]


def test_a_scenario_cannot_control_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = row_of("queue", 0, global_objective=ESCAPE)
    row["users"][0] |= {"role": ESCAPE, "goal": ESCAPE, "xml_persona_entry": ESCAPE}
    row["system_prompt"] += ESCAPE
    row["users"][0]["instructions"] = [ESCAPE + text for text in row["users"][0]["instructions"]]
    file = write_rows(tmp_path / "rows.jsonl", row)
    text = shown(capsys, str(file), row["id"], "--private", "--truth")
    assert "owned" in text
    assert not {"\x1b", "\x07"} & set(text)


def test_an_unknown_or_ambiguous_id(capsys: pytest.CaptureFixture[str]) -> None:
    ids = [row_of("queue", index)["id"] for index in range(2)]
    assert main(["data", "show", "generated:2@0", ids[0][:-1] + "?"]) == 2
    assert f"nearest: {ids[0]}" in capsys.readouterr().err
    assert main(["data", "show", "generated:2@0", "gq"]) == 2
    assert f"could be 2 scenarios ({ids[0]} (queue), {ids[1]} (queue))" in capsys.readouterr().err
    assert main(["data", "show", "generated:2@0", ids[1]]) == 0
