"""All word tables can be read, and an error in one is reported with its file and entry."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from muses_eval.pipeline.datasets.personas import PersonaWords, persona_words
from muses_eval.pipeline.errors import DatasetError
from muses_eval.pipeline.families.access.glossary import Glossary, glossary
from muses_eval.pipeline.families.access.number_words import NumberWords, number_word_tables
from muses_eval.pipeline.families.access.resources import Resources, resources
from muses_eval.pipeline.families.access.scripted_users import UserWords, user_words
from muses_eval.pipeline.families.instruct.answers import AnswerWords, answer_words
from muses_eval.pipeline.families.instruct.constraints.common_words import CommonWords, common_words
from muses_eval.pipeline.families.instruct.fillers import Fillers, fillers
from muses_eval.pipeline.families.instruct.wording import Wording as InstructWording, wording as instruct_wording
from muses_eval.pipeline.families.meeting.attendees import AttendeeWords, attendee_words
from muses_eval.pipeline.families.meeting.clock_words import ClockWords, clock_words
from muses_eval.pipeline.families.meeting.goal_value import GoalWords, goal_words
from muses_eval.pipeline.families.meeting.retracted_times import RetractionWords, retraction_words
from muses_eval.pipeline.families.meeting.side_remarks import SideRemarkWords, side_remark_words
from muses_eval.pipeline.families.meeting.stance import StanceWords, stance_words
from muses_eval.pipeline.families.meeting.weekday_names import WeekdayNames, weekday_names
from muses_eval.pipeline.families.meeting.wording import Wording as MeetingWording, wording as meeting_wording
from muses_eval.pipeline.families.queue.decision_words import DecisionWords, decision_words
from muses_eval.pipeline.families.queue.wording import Wording as QueueWording, wording as queue_wording
from muses_eval.pipeline.text.illustration import IllustrationWords, illustration_words
from muses_eval.pipeline.word_tables import Placeholders, placeholders_of, read_word_table

TABLES: dict[type, Callable[[], object]] = {
    QueueWording: queue_wording,
    InstructWording: instruct_wording,
    Fillers: fillers,
    CommonWords: common_words,
    Resources: resources,
    UserWords: user_words,
    Glossary: glossary,
    NumberWords: number_word_tables,
    MeetingWording: meeting_wording,
    AttendeeWords: attendee_words,
    ClockWords: clock_words,
    GoalWords: goal_words,
    RetractionWords: retraction_words,
    StanceWords: stance_words,
    SideRemarkWords: side_remark_words,
    WeekdayNames: weekday_names,
    PersonaWords: persona_words,
    DecisionWords: decision_words,
    AnswerWords: answer_words,
    IllustrationWords: illustration_words,
}


def file_of(kind: type) -> tuple[str, str]:
    """Returns (package, file name) of a kind of table."""
    package, _, module = kind.__module__.rpartition(".")
    return package, f"{module}.toml"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the folder of an importable package without files."""
    folder = tmp_path / f"words_{abs(hash(tmp_path))}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def refused(kind: type, change: tuple[str, str], package: Path) -> DatasetError:
    """Returns the error of the kind's file with one text replaced by another, copied into *package*."""
    origin, name = file_of(kind)
    text = files(origin).joinpath(name).read_text(encoding="utf-8")
    assert change[0] in text
    (package / name).write_text(text.replace(*change, 1), encoding="utf-8")
    with pytest.raises(DatasetError) as error:
        read_word_table(kind, package.name, name)
    assert error.value.source == f"{package.name}/{name}"
    return error.value


@pytest.mark.parametrize("kind", TABLES)
def test_each_table_is_read_once(kind: type) -> None:
    assert isinstance(TABLES[kind](), kind)
    assert TABLES[kind]() is TABLES[kind]()
    assert read_word_table(kind, *file_of(kind)) == TABLES[kind]()


def test_every_file_of_words_is_read_by_one_module() -> None:
    """No table remains when the module that reads it is deleted."""
    read = {f"{package.removeprefix('muses_eval.').replace('.', '/')}/{name}" for package, name in map(file_of, TABLES)}
    root = Path(__file__).parents[2]
    there = {path.relative_to(root).as_posix() for path in (root / "pipeline").rglob("*.toml")}
    assert there - {"pipeline/prices.toml", "pipeline/text/gitleaks.toml"} == read


@pytest.mark.parametrize(
    ("kind", "change", "entry", "problem"),
    [
        (
            QueueWording,
            ('"Please {task}."', '"Please {taks}."'),
            "task_cores[0]",
            "the placeholders 'task' are missing",
        ),
        (QueueWording, ("the trucks are", "the {cars} are"), "objectives[0].disputes[0].go", "unknown placeholders"),
        (QueueWording, ("the trucks are", "the } are"), "objectives[0].disputes[0].go", "Single '}'"),
        (QueueWording, ("[farewells]\npolite", "[farewells]\nrude"), "farewells", "'polite' are missing"),
        (QueueWording, ("short = ", "shrot = "), "objectives[0]", "the entries 'short' are missing"),
        (PersonaWords, ('register = "polite"', 'register = "rude"'), "work_styles[0].register", "expected one of"),
        (PersonaWords, ('"Aiko"', "7"), "women[0]", "expected a string, got 7"),
        (PersonaWords, ("women = [", "old = []\nwomen = ["), None, "the entries 'old' are unknown"),
        (MeetingWording, ("greetings = [", "greetings = []\nthe_old_ones = ["), None, "'the_old_ones' are unknown"),
        (
            InstructWording,
            ('clash = "', 'klash = "'),
            "conditions.change_case:capital_word_frequency at least",
            "clash",
        ),
        (Fillers, ('a = "banana"', "a = []"), "letter_words.a", "expected a string"),
        (Fillers, ("de = [", "de = []\nold = ["), "native.de", "at least one entry"),
        (Resources, ('maker = "address"', 'maker = "adress"'), "kinds[0].facts.source.maker", "expected one of"),
        (Resources, ("low = 12_000", 'low = "many"'), "kinds[0].facts.lost.low", "expected a whole number"),
        (Resources, ("Record: {number}", "Record:"), "kinds[0]", "the placeholders 'number' are missing"),
        (Resources, ('name = "cities"', 'name = "towns"'), None, "no shared list 'towns'"),
        (UserWords, ("pressure = [", "presure = ["), None, "pressure"),
    ],
)
def test_a_broken_table_is_refused_by_file_and_entry(
    kind: type, change: tuple[str, str], entry: str | None, problem: str, package: Path
) -> None:
    error = refused(kind, change, package)
    assert (error.field, problem in error.problem) == (entry, True), str(error)


def test_a_file_that_is_no_toml(package: Path) -> None:
    error = refused(Fillers, ("capitals = [", "capitals = "), package)
    assert "expected a TOML file" in error.problem
    assert "line" in error.problem


def test_a_file_that_is_missing() -> None:
    with pytest.raises(DatasetError, match=r"/no_words\.toml: this part of the installation cannot be read"):
        read_word_table(Fillers, "muses_eval.pipeline", "no_words.toml")


def test_placeholders() -> None:
    placeholders = Placeholders(("a",), ("b",))
    assert placeholders_of("{a} and {b}, {a}") == {"a", "b"}
    assert placeholders.problem("{a}") is placeholders.problem("{a} {b}") is None
    assert placeholders.problem("{b}") == "the placeholders 'a' are missing in '{b}'"
    assert placeholders.problem("{a} {c}") == "unknown placeholders 'c' in '{a} {c}'"
