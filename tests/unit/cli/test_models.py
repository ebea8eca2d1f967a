from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from ssr_local.cli.models import command
from ssr_local.core.errors import ModelDamagedError, ModelNotFoundError, SSRError
from ssr_local.engine.fake import FakeEngine
from ssr_local.engine.prefixes import KeptPrefix, KeptPrefixes, kept_bytes
from ssr_local.models.download import resolved
from ssr_local.models.registry import load_registry
from tests.engine.kits import PlainScript
from tests.unit.cli.program import AS_FROM_THE_SHELL
from tests.unit.models.download.local_hub import Repo, RepoHub

PAYLOAD = b"GGUF" + bytes(range(256)) * 40
SHA = hashlib.sha256(PAYLOAD).hexdigest()


@pytest.fixture(autouse=True)
def stick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models and their pair, to be had from a folder like a memory stick's."""
    monkeypatch.setenv("SSR_LOCAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SSR_LOCAL_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    entries = []
    for name in ("one", "two"):
        (tmp_path / f"{name}.src").write_bytes(PAYLOAD)
        source = f'{{ kind = "file", path = "{(tmp_path / name).as_posix()}.src" }}'
        entries.append(
            f'[models.{name}]\nfile = "{name}.gguf"\nbytes = {len(PAYLOAD)}\n'
            f'sha256 = "{SHA}"\nlicence = "[bold]MIT"\nsources = [{source}]\n'
        )
    entries.append('[pairs.both]\ndraft = "one"\ntarget = "two"\nfor_whom = "tests"\n')
    (tmp_path / "config" / "models.toml").write_text("".join(entries))
    return tmp_path


def run(*args: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(command, list(args), input=answer, **AS_FROM_THE_SHELL)


def error_of(result: Result) -> SSRError:
    assert isinstance(result.exception, SSRError), result
    assert len(str(result.exception).splitlines()) <= 3
    return result.exception


def model_file(stick: Path, name: str) -> Path:
    return stick / "data" / "models" / f"{name}.gguf"


def test_pull_takes_models_and_pairs(stick: Path) -> None:
    assert run("pull", "one").stdout == f"one: {model_file(stick, 'one')}\n"
    result = run("pull", "both", "one")
    assert result.exit_code == 0
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == ["one", "two"]
    assert "To fetch: " in result.stderr
    assert model_file(stick, "two").read_bytes() == PAYLOAD


def test_pull_takes_files_from_a_folder_and_nothing_else(stick: Path) -> None:
    folder = stick / "usb"
    folder.mkdir()
    (folder / "one.gguf").write_bytes(PAYLOAD)
    for name in ("one", "two"):
        (stick / f"{name}.src").unlink()
    assert run("pull", "one", "--from", str(folder)).exit_code == 0
    assert model_file(stick, "one").read_bytes() == PAYLOAD
    assert str(folder / "two.gguf") in str(error_of(run("pull", "two", "--from", str(folder))))
    (folder / "two.gguf").write_bytes(b"x" * len(PAYLOAD))
    assert isinstance(error_of(run("pull", "two", "--from", str(folder))), ModelDamagedError)
    assert not model_file(stick, "two").exists()


def test_pull_fetches_a_damaged_file_again(stick: Path) -> None:
    run("pull", "one")
    model_file(stick, "one").write_bytes(b"x" * len(PAYLOAD))
    result = run("pull", "one")
    assert result.exit_code == 0
    assert "damaged" in result.stderr
    assert model_file(stick, "one").read_bytes() == PAYLOAD


def test_pull_takes_the_default_pair_without_names(stick: Path) -> None:
    config = stick / "config" / "models.toml"
    config.write_text(config.read_text().replace("pairs.both", "pairs.default"))
    assert run("pull").exit_code == 0
    assert model_file(stick, "two").is_file()


def test_pull_of_an_unknown_name_names_close_ones() -> None:
    error = error_of(run("pull", "qwen2.5-coder-05b"))
    assert isinstance(error, ModelNotFoundError)
    assert "qwen2.5-coder-0.5b" in str(error)
    assert "both" in str(error)


def test_pull_that_fails_names_the_source(stick: Path) -> None:
    (stick / "one.src").unlink()
    error = error_of(run("pull", "one"))
    assert error.exit_code == 3
    assert "one.src" in str(error)


def test_list_for_people(stick: Path) -> None:
    run("pull", "one")
    result = run("list")
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert "present" in lines["one"]
    assert "[bold]MIT" in lines["one"]
    assert "missing" in lines["two"]
    assert lines["both"].split()[:4] == ["both", "one", "two", "tests"]
    assert "untested, not calibrated" in lines["both"]
    assert "untested" not in lines["default"]
    assert "about 4.7 GB" in lines["qwen2.5-math-7b"]
    assert "bench calibrate" in result.stderr
    assert "491 MB" in lines["qwen2.5-coder-0.5b"]


@pytest.mark.parametrize(
    ("content", "state", "words"),
    [
        (None, "missing", "missing"),
        (PAYLOAD, "present", "present (unchecked)"),
        (PAYLOAD[:-1], "damaged", "damaged"),
    ],
)
def test_list_tells_states_apart(
    stick: Path, content: bytes | None, state: str, words: str
) -> None:
    if content is not None:
        model_file(stick, "one").parent.mkdir(parents=True)
        model_file(stick, "one").write_bytes(content)
    data = json.loads(run("list", "--json").stdout)
    (row,) = [row for row in data["models"] if row["name"] == "one"]
    assert (row["state"], row["checked"]) == (state, False)
    assert row["sha256"] == SHA
    (pair,) = [row for row in data["pairs"] if row["name"] == "both"]
    missing = 1 if state == "present" else 2
    assert pair["missing_bytes"] == missing * len(PAYLOAD)
    assert words in run("list").stdout


def test_list_shows_unfinished_files(stick: Path) -> None:
    folder = model_file(stick, "one").parent
    folder.mkdir(parents=True)
    (folder / "one.gguf.part").write_bytes(b"x" * 5000)
    note = {"source": "s", "total": len(PAYLOAD), "sha256": SHA}
    (folder / "one.gguf.part.json").write_text(json.dumps(note))
    assert "partial (5 kB of 10 kB)" in run("list").stdout


def test_verify_finds_a_flipped_bit_that_left_no_trace(stick: Path) -> None:
    run("pull", "both")
    path = model_file(stick, "one")
    stat = path.stat()
    path.write_bytes(PAYLOAD[:-1] + b"!")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    result = run("verify")
    error = error_of(result)
    assert isinstance(error, ModelDamagedError)
    assert error.exit_code == 3
    assert "one.gguf" in str(error)
    assert "models pull one" in str(error)
    assert result.stdout.splitlines()[0] == "one: damaged"
    assert result.stdout.splitlines()[1].startswith("two: ok")
    assert "damaged" in run("list").stdout


def test_verify_of_several_damaged_files_names_all(stick: Path) -> None:
    run("pull", "both")
    for name in ("one", "two"):
        model_file(stick, name).write_bytes(b"short")
    text = str(error_of(run("verify")))
    assert "one.gguf" in text
    assert "two.gguf" in text


def test_verify_without_models_and_of_a_missing_one() -> None:
    result = run("verify")
    assert result.exit_code == 0
    assert "No models" in result.stderr
    assert isinstance(error_of(run("verify", "one")), ModelNotFoundError)


def test_path_prints_the_path_or_how_to_get_it(stick: Path) -> None:
    error = error_of(run("path", "one"))
    assert error.exit_code == 3
    assert "ssr-local models pull one" in str(error)
    run("pull", "one")
    assert run("path", "one").stdout == f"{model_file(stick, 'one')}\n"


@pytest.mark.parametrize(("answer", "gone"), [("n\n", False), ("", False), ("y\n", True)])
def test_rm_asks(stick: Path, answer: str, gone: bool) -> None:
    run("pull", "one")
    result = run("rm", "one", answer=answer)
    assert "Remove" in result.stderr
    assert model_file(stick, "one").exists() is not gone


def test_rm_yes_does_not_ask(stick: Path) -> None:
    run("pull", "both")
    assert run("rm", "--yes", "both").stdout.count("removed") == 2
    assert not model_file(stick, "one").exists()
    assert "not on this machine" in run("rm", "one").stderr


def test_rm_removes_what_was_prefilled_too(stick: Path) -> None:
    run("pull", "one")
    for sha256 in (SHA, "0" * 64):
        engine = FakeEngine(PlainScript())
        file = str(model_file(stick, "one"))
        engine.info = msgspec.structs.replace(engine.info, file=file, sha256=sha256)
        KeptPrefixes().keep(engine, [[1]], KeptPrefix(state=b"cells"))
    both = kept_bytes()
    run("rm", "--yes", "one")
    assert kept_bytes() == both / 2


def test_interrupted_pull_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr("ssr_local.cli.models.ensure_model", interrupted)
    error = error_of(run("pull", "one"))
    assert error.exit_code == 130
    assert "ssr-local models pull one" in str(error)


def test_progress_is_never_on_standard_output(stick: Path) -> None:
    """On a terminal it is drawn on standard error alone."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    code = "from ssr_local.cli.models import command; command(['pull', 'one'])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=slave,
        cwd=Path(__file__).parents[3],
        check=True,
        env=os.environ | {"TERM": "xterm"},
        timeout=60,
    )
    os.close(slave)
    drawn = os.read(master, 100_000).decode(errors="replace")
    os.close(master)
    assert result.stdout.decode() == f"one: {model_file(stick, 'one')}\n"
    assert "\x1b[" in drawn


# Models of the hub --------------------------------------------------------------------

HUB_FILES = {f"big-Q4_K_M-0000{n}-of-00002.gguf": PAYLOAD + b"%d" % n for n in (1, 2)}
HUB_BYTES = sum(map(len, HUB_FILES.values()))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RepoHub]:
    server = RepoHub(some__Big=Repo(HUB_FILES, {"license": "cc0-1.0"}))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    yield server
    server.close()


def row_of(name: str) -> dict[str, object] | None:
    rows = json.loads(run("list", "--json").stdout)["models"]
    return next((row for row in rows if row["name"] == name), None)


def test_a_reference_is_pulled_listed_verified_and_removed(stick: Path, server: RepoHub) -> None:
    name = "some/Big:Q4_K_M"
    result = run("pull", "hf.co/some/Big")
    first = stick / "data" / "models" / "some--Big" / "big-Q4_K_M-00001-of-00002.gguf"
    assert result.stdout == f"{name}: {first}\n"
    for said in ("big-Q4_K_M-00001-of-00002.gguf and 1 more", "20 kB", "cc0-1.0"):
        assert said in result.stderr
    server.close()
    row = row_of(name)
    assert row is not None
    assert (row["state"], row["total_bytes"], row["licence"]) == ("present", HUB_BYTES, "cc0-1.0")
    assert run("path", "some/Big").stdout == f"{first}\n"
    assert run("verify").stdout.startswith(f"{name}: ok")
    assert "20 kB freed" in run("rm", "--yes", "some/Big").stdout
    assert not list(first.parent.glob("*.gguf"))
    assert row_of(name) is None
    assert "not on this machine" in run("rm", name).stderr
    assert "not been asked" in str(error_of(run("path", name)))


@pytest.mark.parametrize("flat", [True, False])
def test_a_reference_from_a_folder(
    stick: Path, server: RepoHub, flat: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stick / "usb" / "models"
    with monkeypatch.context() as filling:
        filling.setenv("SSR_LOCAL_DATA_DIR", str(folder.parent))
        run("pull", "some/Big", "--own")
    server.close()
    if flat:  # as a browser puts them
        for file in (folder / "some--Big").glob("*.gguf"):
            file.rename(folder / file.name)
    assert run("pull", "some/Big", "--from", str(folder)).exit_code == 0
    row = row_of("some/Big:Q4_K_M")
    assert row is not None
    assert (row["state"], row["checked"]) == ("present", True)


def test_a_reference_that_was_never_fetched_is_forgotten(server: RepoHub) -> None:
    resolved(load_registry().model("some/Big"))
    assert row_of("some/Big:Q4_K_M")
    assert "forgotten" in run("rm", "some/Big").stdout
    assert not row_of("some/Big:Q4_K_M")
