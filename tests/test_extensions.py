"""Files and packages that the server's settings name: found, refused in a sentence, and covered by the keys of results."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.extending import data_set, process, told

BROUGHT = """
import json, sys
from dropviz.catalogue import brought
found = {one.origin.rpartition("/")[2]: [list(one.parts), list(one.problems)] for one in brought()}
print(json.dumps([found, "torch" in sys.modules]))
"""
KEYS = """
import json, sys
from dropviz.experiment import preset, result_key
from dropviz.store.records import identity
from dropviz.duration import cost_key
keys = {}
for data in sys.argv[1:] or ["two-moons", "one", "other"]:
    spec = preset("classroom").with_settings([f"data={data}"])
    keys[data] = [result_key(spec, "none", 0, "cpu"), identity(spec.canonical(), "none", (0,)), cost_key(spec)]
print(json.dumps(keys))
"""
BROKEN = {
    "asks.py": "from dropviz.experiment import preset\nspec = preset('classroom')\n",
    "clash.py": data_set("digits"),
    "empty.py": "x = 1\n",
    "falls.py": "\n\nraise OSError('no such disk')\n",
    "lacks.py": data_set("lacking").replace("title", "heading"),
    "syntax.py": "def f(:\n",
    "through.py": "from dropviz.regularizers import plain_loss\n",
    "tensors.py": "import torch\n",
    "arms.py": "from dropviz.strategies.strategy import NoDropout\n",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_what_is_broken_says_so_in_a_sentence_and_leaves_the_rest(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", BROKEN | {"good.py": data_set("good"), "_shared.py": "import torch\n"})
    named = os.pathsep.join(
        [str(folder), str(tmp_path / "nowhere"), str(write(tmp_path, {"a.txt": ""}) / "a.txt")]
    )
    found, torch_there = told(BROUGHT, folder=tmp_path, named=named)
    assert not torch_there
    assert found.pop("good.py") == [[["data set", "good"]], []]
    assert set(found) == {*BROKEN, "nowhere", "a.txt"}
    said = {name: sentence for name, (parts, (sentence,)) in found.items() if not parts}
    assert set(said) == set(found)
    for name, words in {
        "asks.py": "while it is loaded: do that in a function",
        "clash.py": "has a data set that cannot be used: there is a data set named 'digits' already",
        "empty.py": "defines no data set, model, strategy, statistic or chart",
        "falls.py": "cannot be loaded: line 3: OSError: no such disk. Mend it",
        "lacks.py": "Lacking lacks title",
        "syntax.py": "cannot be loaded: line 1: ",
        "through.py": "import torch inside the functions that compute",
        "tensors.py": "import torch inside the functions that compute",
        "arms.py": "ImportError: cannot import name 'NoDropout'",
        "nowhere": "is not there, although DROPVIZ_EXTENSIONS names it",
        "a.txt": "is neither a folder nor a Python file",
    }.items():
        assert words in said[name], name
        assert said[name].startswith(str(tmp_path))
        assert said[name].endswith("Mend it, or take it out of DROPVIZ_EXTENSIONS.")


def test_the_command_line_says_what_is_broken_and_goes_on(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", {"falls.py": BROKEN["falls.py"], "good.py": data_set("good")})
    done = process("-m", "dropviz", "data", "list", folder=tmp_path, named=str(folder))
    assert done.returncode == 0
    assert "\ngood " in done.stdout
    assert done.stderr.count("\n") == 1
    assert "falls.py cannot be loaded: line 3: OSError" in done.stderr


def test_arms_and_statistics_that_clash_are_refused(tmp_path: Path) -> None:
    arm = (
        "import re\nfrom dropviz.strategies import Strategy\n\n\nclass Mine(Strategy):\n    pattern = {0!r}\n"
        "    examples = ({1!r},)\n    name = {1!r}\n\n    @classmethod\n    def from_match(cls, match):\n        return cls()\n\n"
        "    def objective(self, network, draws, surrogate):\n        pass\n"
    )
    statistic = "from dropviz.statistics import Statistic\nstatistic = Statistic(name={!r}, groups=({!r},), measure=print)\n"
    files = {
        "a.py": arm.format("drop.*", "dropping"),  # also answers to dropout
        "b.py": arm.format("gaussian", "gaussian"),
        "c.py": arm.format("other", "another"),
        "d.py": statistic.format("norms", "mine"),
        "e.py": statistic.format("mine", "noise"),
        "f.py": arm.format("good-one", "good-one"),
    }
    found, _ = told(BROUGHT, folder=tmp_path, named=str(write(tmp_path / "mine", files)))
    assert {name: parts for name, (parts, _) in found.items() if parts} == {"f.py": [["arm", "good-one"]]}
    said = {name: problems[0] for name, (_, problems) in found.items() if problems}
    assert "there is an arm named 'dropout' already" in said["a.py"]
    assert "there is an arm named 'gaussian' already" in said["b.py"]
    assert "does not read the name 'another', which is among its examples" in said["c.py"]
    assert "there is one named 'norms' already" in said["d.py"]
    assert "metrics named noise/… are those of 'noise'" in said["e.py"]


def test_keys_change_with_the_source_that_a_result_depends_on_and_no_other(tmp_path: Path) -> None:
    def keys() -> dict[str, list[str]]:
        return told(KEYS, folder=tmp_path, named=str(mine))

    shared = data_set("one").replace(
        "import numpy as np\n", "import numpy as np\nfrom ._shared import PLACE\n"
    )
    mine = write(
        tmp_path / "mine", {"one.py": shared, "_shared.py": "PLACE = 1\n", "other.py": data_set("other")}
    )
    before = keys()
    write(mine, {"other.py": data_set("other", 0.25)})
    edited = keys()
    assert edited["two-moons"] == before["two-moons"]
    assert edited["one"] == before["one"]
    assert all(new != old for new, old in zip(edited["other"], before["other"], strict=True))
    write(mine, {"_shared.py": "PLACE = 2  # moved\n"})
    moved = keys()
    assert moved["other"] == edited["other"]
    assert all(new != old for new, old in zip(moved["one"], edited["one"], strict=True))
    statistic = "from dropviz.statistics import Statistic\nstatistic = Statistic(name='m', groups=('m',), measure=print)\n"
    write(mine, {"measured.py": statistic})
    assert all(new != old for name in before for new, old in zip(keys()[name], moved[name], strict=True))


def test_a_result_of_own_parts_alone_has_the_key_that_it_has_without_extensions(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine", {"one.py": data_set("one")})
    code = KEYS.replace('["two-moons", "one", "other"]', '["two-moons"]').replace(", cost_key(spec)", "")
    with_one, without = (told(code, folder=tmp_path, named=named) for named in (str(mine), ""))
    assert with_one == without


@pytest.mark.parametrize("nested", [False, True])
def test_an_installed_package_brings_parts_by_its_entry_point(tmp_path: Path, nested: bool) -> None:
    site = tmp_path / "site"
    module = "acme/parts/one.py" if nested else "acme/parts.py"
    packages = {"acme/__init__.py": ""} | ({"acme/parts/__init__.py": ""} if nested else {})
    dist = "acme_dropviz-1.2.dist-info"
    metadata = {
        f"{dist}/METADATA": "Metadata-Version: 2.1\nName: acme-dropviz\nVersion: 1.2\n",
        f"{dist}/entry_points.txt": "[dropviz.extensions]\nacme = acme.parts\n",
    }
    write(site, packages | metadata | {module: data_set("acme-blobs")})
    found, _ = told(BROUGHT, folder=tmp_path, path=str(site))
    origin = "acme-dropviz 1.2 (acme.parts.one)" if nested else "acme-dropviz 1.2 (acme.parts)"
    assert found[origin] == [[["data set", "acme-blobs"]], []]
    code = KEYS.replace('["two-moons", "one", "other"]', '["acme-blobs"]')
    before = told(code, folder=tmp_path, path=str(site))
    write(site, {module: data_set("acme-blobs", 0.25)})
    assert told(code, folder=tmp_path, path=str(site)) != before


def test_a_package_that_cannot_be_loaded_is_named_with_its_version(tmp_path: Path) -> None:
    dist = "acme_dropviz-1.2.dist-info"
    write(
        tmp_path / "site",
        {
            f"{dist}/METADATA": "Metadata-Version: 2.1\nName: acme-dropviz\nVersion: 1.2\n",
            f"{dist}/entry_points.txt": "[dropviz.extensions]\nacme = acme.parts\n",
        },
    )
    found, _ = told(BROUGHT, folder=tmp_path, path=str(tmp_path / "site"))
    ((parts, (sentence,)),) = found.values()
    assert parts == []
    assert sentence == (
        "acme-dropviz 1.2 (acme.parts) cannot be loaded: ModuleNotFoundError: No module named 'acme'."
        " Mend or uninstall that package."
    )
