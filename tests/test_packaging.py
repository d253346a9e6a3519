"""The Dockerfile and the systemd unit agree with the rest of the tree."""

import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "packaging" / "Dockerfile").read_text().replace("\\\n", " ")
NOT_FOR_THE_IMAGE = {"ccache", "doctest-dev", "python3-venv"}


def packages(stage: str) -> set[str]:
    arguments = re.search(r"--no-install-recommends (.*?) &&", stage).group(1)
    return set(arguments.split())


def test_the_image_is_built_with_the_packages_that_a_checkout_installs():
    lines = (ROOT / "scripts" / "packages-build.txt").read_text().splitlines()
    wanted = {line.split(":")[0] for line in lines if line and not line.startswith("#")}
    assert packages(DOCKERFILE.split("FROM ")[1]) == wanted - NOT_FOR_THE_IMAGE


def test_every_folder_that_cmake_compiles_for_the_image_is_in_its_context():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept == {"CMakeLists.txt", "src"}
    assert "-DQUERN_TESTS=OFF" in DOCKERFILE, "the tests' folders are not in the context"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_finds_no_mistake_in_the_unit(tmp_path):
    unit = (ROOT / "packaging" / "quern.service").read_text()
    copy = tmp_path / "quern.service"
    copy.write_text(unit.replace("/usr/local/bin/quern", "/bin/true"))
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True)
    assert result.returncode == 0 and "quern.service" not in result.stderr, result.stderr
