"""The documents' recipes by name, each with its own parameters, and the factors between their Gram normalisations. `options`
go to `stylise` as they are; `apart` says what options cannot express; that of U is a loop of its own, in `upes`."""

from dataclasses import dataclass, field
from typing import Any

from nstutils.papers.rows import LAYERS
from nstutils.runs.options import PAPERS

LITERAL = PAPERS | {"backbone": "vgg19", "pool": "avg", "scales": "1", "style_layers": LAYERS}
UPES_WEIGHTS = {"relu1_1": 1.0, "relu2_1": 0.75, "relu3_1": 0.2, "relu4_1": 0.2, "relu5_1": 0.2}
UPES_CONTENT = "relu4_2"


@dataclass(frozen=True)
class Recipe:
    """What a document prints of its parameters: fields of `Options`, and what they cannot say."""

    document: str
    options: dict[str, Any]
    apart: dict[str, str] = field(default_factory=dict)


RECIPES = {
    "gatys-2015": Recipe(
        "G (Gatys, Ecker and Bethge 2015)",
        LITERAL | {"method": "lbfgs", "raw_loss": True, "alpha": 1.0, "beta": 1e3},
        {"alpha / beta": "1e-3 for fig. 2 B, C and D; 1e-4 for E and F", "method": "L-BFGS, as C says of the authors",
         "size and steps": "not printed"},
    ),
    "chadebec": Recipe(
        "C (Chadebec and Lahire)",
        LITERAL | {"steps": 3000, "raw_loss": True, "alpha": 1.0, "beta": 1e3},
        {"noise": "Gaussian there, uniform here", "method": "a first-order method of keras that is not named",
         "size": "not printed"},
    ),
    "koc": Recipe(
        "B (Arslantürk and Levi, Koç University)",
        LITERAL | {"size": 768, "steps": 400},
        {"weights": "content, style, tv and layer weights are not printed: earlier layers are heavier, and all change after "
         "step 250", "content loss": "mean squared error", "style loss": "mean squared error of raw Gram matrices, divided by "
         "the number of elements of the layer", "tv": "the L2 norm, so the root of the sum that is taken here",
         "style": "stretched to the content's shape", "layers": "in a figure that is missing; the papers' are given here"},
    ),
    "shuvo": Recipe(
        "A (Shuvo)",
        PAPERS
        | {"backbone": "squeezenet", "pool": "max", "scales": "1", "raw_loss": True, "content_layers": ("fire2",),
         "style_layers": ("relu1", "fire3", "fire4", "fire5"), "alpha": 2 * 6e-2, "beta": 1.0, "tv": 2e-2 / 0.226**2,
         "layer_weights": (4 * 3e5, 4 * 1e3, 4 * 15.0, 4 * 3.0)},
        {"layers": "content 3 and style 1, 4, 6, 7, counted in torchvision's features", "pool": "not printed",
         "weights": "not printed: alpha is the style's, earlier layers are heavier; those of CS231n, whose network and layers "
         "these are, stand here in the units of eqs. 1 and 4", "noise": "Gaussian there, uniform here",
         "losses": "sums of squares without 1/2 and 1/(4 N² M²)", "size and steps": "not printed; fruitful after 100 steps"},
    ),
    "upes": Recipe(
        "U (UPES)",
        LITERAL
        | {"pool": "max", "init": "content", "lr": 0.003, "steps": 2000, "alpha": 1.0, "beta": 1e6,
         "layer_weights": tuple(UPES_WEIGHTS.values())},
        {"pixels": "normalised as for ImageNet, and never clamped", "learning rate": "constant", "size": "the shorter side at "
         "400 pixels, of smaller pictures at the longer side", "style": "stretched to the content's shape",
         "content loss": "mean squared error", "style loss": "w · mean((G − A)²) / (d h w) of raw Gram matrices",
         "pooling of odd sizes": "rounds down", "pictures": "every 400 steps", "in the text, not in the code": "average "
         "pooling, a random start, SGD, total variation"},
    ),
}  # fmt: skip


def factors(filters: int, positions: int) -> dict[str, tuple[str, float]]:
    """What E_l (eq. 4) is multiplied with in other documents and courses, each with its formula (N filters, M positions in
    both pictures): β of a document times its factor is the β that goes with eq. 4."""
    return {
        "gatys-2015, chadebec (eq. 4)": ("Σ(G − A)² / (4 N² M²)", 1.0),
        "shuvo": ("Σ(G − A)²", 4.0 * filters**2 * positions**2),
        "koc, upes": ("mean((G − A)²) / (N M)", 4.0 * positions / filters),
        "hw (Gatys' code)": ("mean((G/M − A/M)²)", 4.0),
        "cs231n, eecs498": ("Σ(G/(N M) − A/(N M))²", 4.0),
        "chw (PyTorch's tutorial, d2l)": ("mean((G/(N M) − A/(N M))²)", 4.0 / filters**2),
    }


def content_factors(filters: int, positions: int) -> dict[str, tuple[str, float]]:
    """What eq. 1 is multiplied with in other documents and courses."""
    return {
        "gatys-2015, chadebec (eq. 1)": ("½ Σ(F − P)²", 1.0),
        "shuvo": ("Σ(F − P)²", 2.0),
        "cs231n, eecs498": ("Σ(F − P)²", 2.0),
        "koc, upes": ("mean((F − P)²)", 2.0 / (filters * positions)),
        "PyTorch's tutorial, d2l": ("mean((F − P)²)", 2.0 / (filters * positions)),
    }
