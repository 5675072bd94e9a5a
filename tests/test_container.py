"""Image of the edge and its Compose example: what they name exists, and what they start works.

No container is built. The commands of the image run with its variables, on a free port.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from support.edge_process import address
from support.python_process import environment
from targetry.edge.options import ENVIRONMENT_PREFIX, option_forms

ROOT = Path(__file__).parent.parent
COMPOSE = ROOT / "examples" / "compose" / "compose.yaml"
LONGEST_S = 150


class Image(NamedTuple):
    """Instructions of the Containerfile's last stage, and its variables."""

    instructions: list[tuple[str, str]]
    variables: dict[str, str]

    def argument(self, instruction: str) -> str:
        (found,) = [argument for name, argument in self.instructions if name == instruction]
        return found


def read_image() -> Image:
    text = (ROOT / "Containerfile").read_text("utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", "").splitlines()
    pairs = [(name, argument) for name, _, argument in (line.partition(" ") for line in lines) if name]
    start = max(index for index, (name, _) in enumerate(pairs) if name == "FROM")
    last = Image(pairs[start:], {})
    return last._replace(variables=dict(one.split("=", 1) for one in last.argument("ENV").split()))


IMAGE = read_image()


def test_image_runs_as_a_user_that_is_not_root() -> None:
    user = IMAGE.argument("USER")
    assert int(user.split(":")[0]) > 0
    assert f"--uid {user.split(':')[0]} " in IMAGE.argument("RUN")


def test_base_images_have_a_version_that_is_supported() -> None:
    bases = re.findall(r"^FROM \S+/python:(\S+?)-slim-\w+", (ROOT / "Containerfile").read_text("utf-8"), re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert len(bases) == 2
    assert {f"Programming Language :: Python :: {version}" for version in bases} <= set(
        project["classifiers"]
    )


def test_image_is_built_from_files_that_exist() -> None:
    text = (ROOT / "Containerfile").read_text("utf-8")
    copied = {
        name for names in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE) for name in names.split()
    }
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    assert copied == set(allowed)
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (extras,) = re.findall(r"install .*'\.\[(.+)\]'", text)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def options_of(variables: dict[str, Any]) -> set[str]:
    return {name for name in variables if name.startswith(ENVIRONMENT_PREFIX)}


def test_variables_of_image_and_compose_are_options_of_the_edge() -> None:
    service = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]["edge"]
    named = options_of(IMAGE.variables) | set(service["environment"])
    assert named - {form.variable for form in option_forms()} == {"TARGETRY_EDGE_LOG"}


def test_compose_publishes_the_port_on_this_machine_only() -> None:
    document = yaml.safe_load(COMPOSE.read_text("utf-8"))
    service = document["services"]["edge"]
    port = IMAGE.variables["TARGETRY_EDGE_PORT"]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert (COMPOSE.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    volume, folder = service["volumes"][0].split(":")
    assert volume in document["volumes"]
    assert folder == IMAGE.variables["TARGETRY_EDGE_DATA"] == IMAGE.argument("VOLUME")


CLUSTER = COMPOSE.with_name("cluster.yaml")


def test_cluster_names_options_services_and_files_that_exist() -> None:
    document = yaml.safe_load(CLUSTER.read_text("utf-8"))
    services = document["services"]
    edge = services["edge"]
    assert options_of(edge["environment"]) <= {form.variable for form in option_forms()}
    # The folder that the image names would be a second ledger.
    assert edge["environment"]["TARGETRY_EDGE_DATA"] == ""
    assert edge["environment"]["TARGETRY_EDGE_LEDGER"] == "postgresql://targetry@database/targetry"
    assert {name for one in services.values() for name in one.get("depends_on", ())} <= set(services)
    assert "healthcheck" in services["database"]
    (published,) = services["proxy"]["ports"]
    assert published.startswith("127.0.0.1:")
    assert all("ports" not in services[name] for name in ("edge", "database"))
    (mounted,) = services["proxy"]["volumes"]
    proxy = (CLUSTER.parent / mounted.partition(":")[0]).read_text("utf-8")
    assert f"server edge:{IMAGE.variables['TARGETRY_EDGE_PORT']} " in proxy
    assert f"listen {published.rpartition(':')[2]};" in proxy


@pytest.mark.slow
def test_empty_folder_leaves_the_ledger_to_postgresql() -> None:
    """Start an edge with the cluster's variables; the server cannot be reached."""
    env = environment(
        TARGETRY_EDGE_DATA="", TARGETRY_EDGE_LEDGER="postgresql://127.0.0.1:1/x", TARGETRY_EDGE_PORT="0"
    )
    done = subprocess.run(
        [sys.executable, "-m", "targetry", "edge"], env=env, capture_output=True, text=True, timeout=LONGEST_S
    )
    assert done.returncode == 1
    assert "the ledger 127.0.0.1:1/x: " in done.stderr


def test_page_lists_the_variables_of_the_image() -> None:
    page = (ROOT / "docs" / "containers.md").read_text("utf-8")
    listed = dict(re.findall(rf"^\| `({ENVIRONMENT_PREFIX}\w+)` \| `(.+?)` \|", page, re.MULTILINE))
    assert listed == {name: IMAGE.variables[name] for name in options_of(IMAGE.variables)}


def health(port: int) -> int:
    """Return the exit status of the health check."""
    command = json.loads(IMAGE.argument("HEALTHCHECK").partition(" CMD ")[2])
    assert command[0] == "python"
    env = environment(TARGETRY_EDGE_PORT=str(port))
    done = subprocess.run([sys.executable, *command[1:]], env=env, capture_output=True, timeout=LONGEST_S)
    return done.returncode


@pytest.mark.slow
def test_command_of_the_image_is_healthy_and_ends_by_sigterm(tmp_path: Path) -> None:
    assert json.loads(IMAGE.argument("ENTRYPOINT")) == ["targetry", "edge"]
    variables = {**IMAGE.variables, "TARGETRY_EDGE_PORT": "0", "TARGETRY_EDGE_DATA": str(tmp_path)}
    del variables["PATH"]
    with subprocess.Popen(
        [sys.executable, "-m", "targetry", "edge"],
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert health(int(address(process).rpartition(":")[2])) == 0
            process.terminate()
            assert process.wait(LONGEST_S) == 0
        finally:
            process.kill()


def test_health_check_fails_where_nothing_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert health(unused.getsockname()[1]) == 1
