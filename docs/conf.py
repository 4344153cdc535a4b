"""How Sphinx builds the site. Figures come from ``python -m docs.figures``; the rest is generated here."""

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from docs import cheatsheets, gallery, reference  # noqa: E402
from vig_pyg import __version__  # noqa: E402

cheatsheets.write(HERE / "generated" / "tables")
gallery.write(HERE / "generated" / "gallery")
reference.write(HERE / "generated" / "reference")

project = "vig_pyg"
author = "the authors of vig_pyg"
release = version = __version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "docs.formulas",
]
exclude_patterns = ["_build", "generated/tables/*", "generated/gallery/cards.md"]
html_math_renderer = "mathml"
html_theme = "furo"
html_title = "vig_pyg"
html_show_copyright = False
html_extra_path = ["generated/extra"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {"light_css_variables": {"color-brand-primary": "#0072B2", "color-brand-content": "#0072B2"}}

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are committed as they ran; tests run them

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 100
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Shapes"]
napoleon_use_rtype = False

# Every reference to the library must lead somewhere; those to other packages are words.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!vig_pyg\.).*"), (r"py:mod", r"vig_pyg\..*")]
nitpick_ignore = [  # names of types
    ("py:class", "vig_pyg.models.fuse.Model"),
    ("py:class", "vig_pyg.data.masks.Pair"),
    ("py:class", "vig_pyg.data.samplers.Draw"),
]


def resolve(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Lead a reference to where its object is described, under whatever name it is called."""
    home = reference.home_of(node.get("reftarget", "")) if node.get("refdomain") == "py" else None
    if home is None or home == node["reftarget"]:
        return None
    domain = env.domains["py"]
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", home, node, content)


def setup(app: Any) -> None:
    """Connect what leads references."""
    app.connect("missing-reference", resolve)
