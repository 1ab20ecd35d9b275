"""What the reader chooses by environment variables."""

from pathlib import Path

import pooch
import pytest

from nstutils.library.settings import BACKBONES, PRESETS, settings


def test_without_any_variable_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NSTUTILS_CACHE")
    chosen = settings()
    assert (chosen.preset, chosen.backbone, chosen.size, chosen.steps) == ("quick", "classroom", 256, 150)
    assert (chosen.weights, chosen.mirror) == (None, None)
    assert chosen.cache == Path(pooch.os_cache("nstutils"))


@pytest.mark.parametrize("name", ["PRESET", "BACKBONE", "WEIGHTS", "CACHE", "MIRROR", "STRICT"])
def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(f"NSTUTILS_{name}", raising=False)
    wanted = settings()
    monkeypatch.setenv(f"NSTUTILS_{name}", "")
    assert settings() == wanted


@pytest.mark.parametrize(("value", "strict"), [("1", True), ("0", False), (None, False)])
def test_only_the_makers_are_strict(monkeypatch: pytest.MonkeyPatch, value: str | None, strict: bool) -> None:
    if value is not None:
        monkeypatch.setenv("NSTUTILS_STRICT", value)
    assert settings().strict == strict


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_chosen(monkeypatch: pytest.MonkeyPatch, preset: str) -> None:
    monkeypatch.setenv("NSTUTILS_PRESET", preset)
    assert (settings().size, settings().steps) == (PRESETS[preset].size, PRESETS[preset].steps)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_can_be_chosen(monkeypatch: pytest.MonkeyPatch, backbone: str) -> None:
    monkeypatch.setenv("NSTUTILS_BACKBONE", backbone)
    assert settings().backbone == backbone


def test_arguments_go_before_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSTUTILS_PRESET", "nonsense")
    monkeypatch.setenv("NSTUTILS_BACKBONE", "vgg19")
    chosen = settings("paper", "vgg16")
    assert (chosen.preset, chosen.backbone) == ("paper", "vgg16")


def test_places_are_taken_from_variables_and_the_tilde_is_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSTUTILS_WEIGHTS", "~/w.pth")
    monkeypatch.setenv("NSTUTILS_CACHE", "~/c")
    monkeypatch.setenv("NSTUTILS_MIRROR", "http://127.0.0.1/m")
    chosen = settings()
    assert (chosen.weights, chosen.cache) == (Path.home() / "w.pth", Path.home() / "c")
    assert chosen.mirror == "http://127.0.0.1/m"


def test_the_home_of_nobody_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSTUTILS_WEIGHTS", "~nobody-has-this-name/w.pth")
    monkeypatch.setenv("NSTUTILS_CACHE", "~nobody-has-this-name/c")
    assert settings().weights == Path("~nobody-has-this-name/w.pth")
    assert settings().cache == Path("~nobody-has-this-name/c")


@pytest.mark.parametrize(("variable", "choices"), [("NSTUTILS_PRESET", PRESETS), ("NSTUTILS_BACKBONE", BACKBONES)])
@pytest.mark.parametrize("value", ["nonsense", "QUICK", " "])
def test_a_wrong_value_is_told_with_its_variable_and_the_choices(
    monkeypatch: pytest.MonkeyPatch, variable: str, choices: tuple[str, ...], value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"^the environment variable {variable} is {value!r}") as caught:
        settings()
    assert str(caught.value).endswith(f"; choose from {', '.join(choices)}")


@pytest.mark.parametrize("what", ["preset", "backbone"])
def test_a_wrong_argument_is_not_blamed_on_a_variable(what: str) -> None:
    with pytest.raises(ValueError, match=f"^{what} is 'nonsense'"):
        settings(**{what: "nonsense"})
