"""Settings from environment variables, and the defaults that libraries get before they are imported."""

import os
import socket
import tempfile
from pathlib import Path

import pytest
from muses_eval.flows.settings import Settings, make_home, ray_home, read_settings, set_environment_defaults
from muses_eval.pipeline.errors import ConfigError


def test_an_empty_environment_keeps_everything_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings({}) == Settings(
        home=tmp_path / ".muses",
        store=str(tmp_path / ".muses" / "store"),
        prefect_api_url=None,
        prefect_home=tmp_path / ".muses" / "prefect",
    )
    assert list(tmp_path.iterdir()) == []  # reading settings creates nothing


def test_every_variable_has_its_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {
        "MUSES_HOME": "elsewhere/../home",
        "MUSES_STORE": "s3://bucket/prefix",
        "PREFECT_API_URL": "http://127.0.0.1:4200/api",
        "PREFECT_HOME": "/mine",
        "RAY_TMPDIR": "/fast/disk",
    }
    assert read_settings(environ) == Settings(
        home=tmp_path / "home",
        store="s3://bucket/prefix",
        prefect_api_url="http://127.0.0.1:4200/api",
        prefect_home=Path("/mine"),
        ray_temp_dir=Path("/fast/disk/ray"),
    )


def test_an_empty_variable_is_an_unset_one() -> None:
    assert read_settings(
        dict.fromkeys(("MUSES_HOME", "MUSES_STORE", "PREFECT_API_URL", "PREFECT_HOME", "RAY_TMPDIR"), "")
    ) == read_settings({})


def test_the_store_follows_the_home() -> None:
    assert read_settings({"MUSES_HOME": "/data/muses"}).store == "/data/muses/store"


def test_engines_have_their_home_below_ours_and_send_nothing_home() -> None:
    environ: dict[str, str] = {}
    set_environment_defaults(read_settings({"MUSES_HOME": "/data/muses"}), environ)
    assert environ["PREFECT_HOME"] == "/data/muses/prefect"
    silent = {"DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0", "VLLM_NO_USAGE_STATS": "1"}
    assert environ.items() >= {**silent, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}.items()
    assert environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"  # workers use the environment of their driver
    assert environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] == "CRITICAL"


def test_a_user_without_a_home_gets_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect and nltk fail where HOME is unset and the user's id has no entry in passwd."""
    environ: dict[str, str] = {}
    set_environment_defaults(read_settings({"MUSES_HOME": "/data/muses"}), environ)
    assert "HOME" not in environ
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 3)
    set_environment_defaults(read_settings({"MUSES_HOME": "/data/muses"}), environ)
    assert environ["HOME"] == "/data/muses"


def test_what_the_user_has_chosen_stays() -> None:
    chosen = {"PREFECT_HOME": "/mine", "RAY_USAGE_STATS_ENABLED": "1", "PREFECT_LOGGING_SERVER_LEVEL": "DEBUG"}
    environ = dict(chosen)
    set_environment_defaults(read_settings(environ), environ)
    assert environ.items() >= chosen.items()


def test_who_sets_a_log_level_sees_the_log() -> None:
    environ = {"PREFECT_LOGGING_LEVEL": "INFO"}
    set_environment_defaults(read_settings(environ), environ)
    assert environ["PREFECT_LOGGING_LEVEL"] == "INFO"
    assert "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL" not in environ


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = read_settings({"MUSES_HOME": str(tmp_path / "file")})
    with pytest.raises(ConfigError, match=r"cannot create .*file/ray .*set MUSES_HOME"):
        make_home(settings.home / "ray")


def test_a_short_home_is_rays_own() -> None:
    with tempfile.TemporaryDirectory() as home:  # pytest's paths are too long
        assert len(home) + len("/ray") < 40
        with ray_home(read_settings({"MUSES_HOME": home}), {}) as found:
            assert found == Path(home, "ray")
            assert found.is_dir()


@pytest.mark.parametrize("variable", ["MUSES_HOME", "RAY_TMPDIR"])
@pytest.mark.parametrize("name", ["d" * 90, "ß" * 45])
def test_a_deep_home_is_entered_through_a_short_link(
    tmp_path: Path, name: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home with a long path gets a link, short in bytes as socket paths need it, which is removed at the end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # too long for a link as well
    settings = read_settings({variable: str(tmp_path / name)})
    with ray_home(settings, {}) as short:
        session = short / "session_2026-01-01_00-00-00_000000_0000000" / "sockets"
        session.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(session / "plasma_store.0"))
        with ray_home(settings, {}) as another:  # as for a second run
            assert another != short
        assert short.is_symlink()
    assert not short.parent.exists()
    assert [path.name for path in (tmp_path / name / "ray").rglob("plasma_store.0")] == ["plasma_store.0"]


def test_rays_own_variable_decides(tmp_path: Path) -> None:
    settings = read_settings({"MUSES_HOME": str(tmp_path / "home"), "RAY_TMPDIR": str(tmp_path)})
    with ray_home(settings, {}) as home:
        assert home.resolve() == tmp_path / "ray"
    assert not (tmp_path / "home").exists()


def test_a_local_ray_has_a_key_of_its_own(tmp_path: Path) -> None:
    """Every process generates its own token, not in the user's home; a token that the user has set stays."""
    settings = read_settings({"MUSES_HOME": str(tmp_path)})
    first: dict[str, str] = {}
    second: dict[str, str] = {}
    chosen = {"RAY_AUTH_TOKEN": "mine"}
    for environ in (first, second, chosen):
        with ray_home(settings, environ):
            pass
    assert len({first["RAY_AUTH_TOKEN"], second["RAY_AUTH_TOKEN"]}) == 2
    assert len(first["RAY_AUTH_TOKEN"]) == 64
    assert chosen == {"RAY_AUTH_TOKEN": "mine"}
