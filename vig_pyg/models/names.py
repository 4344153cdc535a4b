"""Names of models, ours and timm's."""

from __future__ import annotations

from difflib import get_close_matches

from timm.models import get_pretrained_cfg, is_model, is_model_in_modules, list_models

# The modules that register them.
FAMILIES = ("vig", "pyramid_vig", "wignet", "mobile_vig")


def check_model_name(name: str) -> None:
    """Refuse a name that timm does not know.

    Raises:
        ValueError: names the nearest.
    """
    if not (isinstance(name, str) and is_model(name)):  # a file may say anything
        near = get_close_matches(str(name), list_models(), 1)
        hint = f"did you mean {near[0]}?" if near else "vig-pyg models lists ours"
        raise ValueError(f"there is no model called {name!r}: {hint}")
    try:
        get_pretrained_cfg(name)
    except RuntimeError as error:  # what follows the dot names no weights
        raise ValueError(f"there is no model called {name!r}: {error}") from None


def is_ours(name: str) -> bool:
    """Return whether a model is one of ours."""
    return is_model_in_modules(name, FAMILIES)


def list_ours() -> list[str]:
    """Return the names of all models of ours, family by family."""
    return [name for family in FAMILIES for name in list_models(module=family)]
