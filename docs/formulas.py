"""Formulas as MathML, which browsers draw by themselves: a page loads nothing from elsewhere."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

# What docutils does not know, and what it does.
KNOWN = {
    r"\\dots\b": r"\\ldots",
    r"\\iff\b": r"\\Longleftrightarrow",
    "×": r"\\times ",
    r"\\[Bb]igg?[lr]?(?![a-zA-Z])": "",  # parentheses find their size by themselves
}


def mathml(tex: str, as_block: bool = False) -> str:
    """Return a formula as MathML."""
    for theirs, known in KNOWN.items():
        tex = re.sub(theirs, known, tex)
    return tex2mathml(tex, as_block=as_block)


def inline(translator: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    translator.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def block(translator: Any, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    translator.body.append(f'<div class="formula">{mathml(node.astext(), as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the way to write formulas with Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
