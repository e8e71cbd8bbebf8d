"""The examples of GraphiQL's menu, as files."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "web" / "examples"
EXAMPLES = sorted(FOLDER.glob("*.graphql"))


def title(path: Path) -> str:
    """What the menu calls it: 05-ConnectSandbox is Connect sandbox."""
    name = path.stem.partition("-")[2]
    return re.sub(r"\B[A-Z]", lambda capital: f" {capital[0].lower()}", name)
