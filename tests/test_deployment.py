"""Programs that train nowhere and load what nobody can tell: how their layers start is no finding."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from initlint.engine import check_paths

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 64)
        self.head = nn.Linear(64, 4)

    def forward(self, x):
        return self.head(torch.relu(self.hidden(x)))
"""
SERVE = """
import importlib

import torch


def load(model, path):
    model.load_state_dict(torch.load(path))
    return model.eval()


def serve(name, path):
    return load(getattr(importlib.import_module("models." + name), name)(), path)
"""


def codes(folder: Path, files: Mapping[str, str]) -> list[str]:
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text("")
    for name, text in files.items():
        (folder / name).write_text(text)
    return [finding.code for finding in check_paths([folder])]


def test_what_is_only_loaded_may_start_as_it_likes(tmp_path: Path) -> None:
    assert codes(tmp_path, {"net.py": NET, "serve.py": SERVE}) == []


def test_each_file_alone_is_read_with_the_program_in_mind(tmp_path: Path) -> None:
    codes(tmp_path, {"net.py": NET, "serve.py": SERVE})
    assert not check_paths([tmp_path / "net.py"])


def test_who_loads_nothing_may_train(tmp_path: Path) -> None:
    assert codes(tmp_path, {"net.py": NET}) == ["INI101"]


def test_who_trains_is_told_how_layers_start(tmp_path: Path) -> None:
    train = "def train(net, batches, step):\n    for batch in batches:\n        net(batch).mean().backward()\n        step()\n"
    assert codes(tmp_path, {"net.py": NET, "serve.py": SERVE, "train.py": train}) == ["INI101"]


@pytest.mark.parametrize(
    "load",
    [
        "    if pretrained:\n        model.load_state_dict(torch.load(pretrained))\n",
        "    if pretrained is not None:\n        load(model, pretrained)\n",
        "    return load(model, pretrained) if pretrained else model\n",
    ],
)
def test_who_loads_only_where_asked_to_trains_otherwise(tmp_path: Path, load: str) -> None:
    zoo = SERVE.partition("def serve")[0] + "def build(name, pretrained=None):\n    model = make(name)\n" + load
    assert codes(tmp_path, {"net.py": NET, "zoo.py": zoo}) == ["INI101"]


def test_who_loads_on_either_branch_loads(tmp_path: Path) -> None:
    either = SERVE.replace(
        "    model.load_state_dict(torch.load(path))\n",
        "    if model.strict:\n        model.load_state_dict(torch.load(path))\n"
        "    else:\n        model.load_state_dict(torch.load(path), strict=False)\n",
    )
    assert codes(tmp_path, {"net.py": NET, "serve.py": either}) == []


def test_a_method_that_its_users_may_call_is_no_load(tmp_path: Path) -> None:
    wrapper = "class Wrapper:\n    def restore(self, state):\n        self.model.load_state_dict(state)\n"
    assert codes(tmp_path, {"net.py": NET, "wrapper.py": wrapper}) == ["INI101"]


SEEN = "import torch\nfrom other import Other\n\nmodel = Other()\nmodel.load_state_dict(torch.load('w.pt'))\n"


def test_models_that_are_seen_to_be_loaded_speak_for_themselves_only(tmp_path: Path) -> None:
    builds = "from net import Net\n\n\ndef build():\n    return Net()\n"
    files = {"net.py": NET, "other.py": NET.replace("Net", "Other"), "serve.py": SEEN, "build.py": builds}
    assert codes(tmp_path, files) == ["INI101"]


def test_what_nobody_builds_beside_them_is_there_for_nobody(tmp_path: Path) -> None:
    files = {"net.py": NET, "other.py": NET.replace("Net", "Other"), "serve.py": SEEN}
    assert codes(tmp_path, files) == []
    trains = (
        f"def learn(net, optimizer, loss):\n    optimizer.zero_grad()\n    {STEP.replace(chr(10), chr(10) + '    ')}\n"
    )
    trains += "\n\nlearn(None, None, None)\n"
    assert codes(tmp_path, {**files, "learn.py": trains}) == ["INI101"]


def test_parts_of_what_nobody_builds_are_there_for_nobody(tmp_path: Path) -> None:
    block = NET.replace("Net", "Block").replace("self.head(torch.relu(self.hidden(x)))", "torch.relu(self.hidden(x))")
    whole = (
        f"{block}\n\nclass Whole(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.block = Block()\n\n    def forward(self, x):\n        return self.block(x)\n"
    )
    files = {"net.py": whole, "other.py": NET.replace("Net", "Other"), "serve.py": SEEN}
    assert codes(tmp_path, files) == []
    assert codes(tmp_path, {**files, "use.py": "from net import Whole\n\nnet = Whole()\n"}) == ["INI101"]


def test_code_that_does_not_do_what_it_says_is_told_wherever_it_is(tmp_path: Path) -> None:
    net = NET.replace("        self.head =", "        nn.init.xavier_uniform(self.hidden.weight)\n        self.head =")
    assert codes(tmp_path, {"net.py": net, "serve.py": SERVE}) == ["INI306"]


HUB = """
import importlib

from huggingface_hub import PyTorchModelHubMixin
from torch import nn


class Model(nn.Module, PyTorchModelHubMixin):
    def __init__(self, name="Net", config=None):
        super().__init__()
        self.model = getattr(importlib.import_module("models." + name), name)()


def predict(images, place):
    return Model.from_pretrained(place).eval()(images)
"""


def test_what_comes_from_the_hub_is_loaded(tmp_path: Path) -> None:
    assert codes(tmp_path, {"net.py": NET, "model.py": HUB}) == []


def test_a_hub_from_which_nothing_is_taken_loads_nothing(tmp_path: Path) -> None:
    assert codes(tmp_path, {"net.py": NET, "model.py": HUB.partition("def predict")[0]}) == ["INI101"]


OWN = """
from framework import build


class Model(torch.nn.Module):
    @classmethod
    def from_pretrained(cls, place):
        return build(place)
"""
FRAMEWORK = """
from transformers import PreTrainedModel


class Model(PreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.layer = make(config)
"""


REGISTERED = """
from transformers import AutoModel

AutoModel.register(Config, make(Config))
"""


@pytest.mark.parametrize(("model", "name"), [(OWN, "Model"), (FRAMEWORK, "Model"), (REGISTERED, "AutoModel")])
def test_what_is_loaded_by_name_is_loaded(tmp_path: Path, model: str, name: str) -> None:
    predicts = f"{model}\n\ndef predict(images, place):\n    return {name}.from_pretrained(place)(images)\n"
    assert codes(tmp_path, {"net.py": NET, "model.py": predicts}) == []
    asked = predicts.replace(f"    return {name}", f"    if place:\n        return {name}")
    assert codes(tmp_path, {"model.py": asked}) == ["INI101"]


def test_models_that_fill_themselves_are_loaded(tmp_path: Path) -> None:
    engine = SERVE.replace("model.load_state_dict(torch.load(path))", "model.load_weights(weights_in(path))")
    assert codes(tmp_path, {"net.py": NET, "engine.py": engine}) == []


def test_who_loads_when_first_asked_loads(tmp_path: Path) -> None:
    service = "class Service:\n    def model(self, name, path):\n        if self.loaded is None:\n"
    service += "            self.loaded = serve(name, path)\n        return self.loaded\n"
    service += (
        "class Client:\n    def predict(self, name, images):\n        return self.service.model(name, name)(images)\n"
    )
    service += "def main(client, images):\n    return client.predict('net', images)\n"
    assert (
        codes(tmp_path, {"net.py": NET, "serve.py": SERVE, "service.py": f"from serve import serve\n{service}"}) == []
    )
    asked = service.replace("self.loaded is None", "self.loads is None")
    assert codes(tmp_path, {"service.py": f"from serve import serve\n{asked}"}) == ["INI101"]


def test_what_trains_a_tokenizer_trains_no_model(tmp_path: Path) -> None:
    words = "import sentencepiece\n\nsentencepiece.SentencePieceTrainer.train(input='words.txt')\n"
    assert codes(tmp_path, {"net.py": NET, "serve.py": SERVE, "words.py": words}) == []
    assert codes(tmp_path, {"words.py": "from transformers import Seq2SeqTrainer\n"}) == ["INI101"]


def test_a_load_when_the_model_is_first_asked_for_is_one(tmp_path: Path) -> None:
    lazy = (
        "import torch\n\n\nclass Speaker:\n    _model = None\n\n    @property\n    def model(self):\n"
        "        if self._model is None:\n            self._model = make(self.name)\n"
        "            self._model.load_state_dict(torch.load(self.path))\n        return self._model\n"
    )
    assert codes(tmp_path, {"net.py": NET, "speak.py": lazy}) == []


def test_an_optimizer_that_is_only_spoken_of_trains_nothing(tmp_path: Path) -> None:
    resume = "def resume(model, optimizer: 'torch.optim.Optimizer' = None):\n    return model, optimizer\n"
    assert codes(tmp_path, {"net.py": NET, "serve.py": SERVE, "resume.py": resume}) == []


@pytest.mark.parametrize(
    "sign",
    [
        "def train(self, mode=True):\n    super().train(mode)\n",
        "def training_losses(self, model, x):\n    return model(x)\n",
        "# copied from https://github.com/facebookresearch/detectron2/blob/main/detectron2/layers/batch_norm.py\n",
    ],
)
def test_what_came_with_copied_code_trains_nothing(tmp_path: Path, sign: str) -> None:
    assert codes(tmp_path, {"net.py": NET, "serve.py": SERVE, "copied.py": sign}) == []


def test_who_builds_on_a_framework_may_train(tmp_path: Path) -> None:
    framework = "from detectron2.engine import hooks\n"
    assert codes(tmp_path, {"net.py": NET, "serve.py": SERVE, "tools.py": framework}) == ["INI101"]


BESIDE = "import torch\nfrom net import Net\n\nmodel = Net()\nmodel.load_state_dict(torch.load('w.pt'))\n"


def test_what_is_loaded_in_one_case_only_may_be_loaded_elsewhere(tmp_path: Path) -> None:
    found = BESIDE.replace("model.load", "if os.path.isfile('w.pt'):\n    model.load")
    other = NET.replace("Net", "Other")
    assert codes(tmp_path, {"net.py": NET, "other.py": other, "serve.py": f"import os\n{found}"}) == []


STEP = "loss.backward()\nstep()\n"


@pytest.mark.parametrize(
    "sign",
    [
        f"import torch\n\noptimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n{STEP}",
        f"from torch import optim\n\noptimizer = optim.SGD(net.parameters(), lr=0.1)\n{STEP}",
        f"from torch.optim import Adam as Optimizer\n\noptimizer = Optimizer(net.parameters())\n{STEP}",
        f"optimizer.zero_grad(set_to_none=True)\n{STEP}",
        "loss.backward()\nself.optimizer.step()\n",
        "for batch in batches:\n    net.train()\n",
        "def fit(net, batches):\n    return net(batches)\n",
        "def train_epoch(net):\n    return net()\n",
        "class Net:\n    def training_step(self, batch):\n        return self(batch)\n",
        "from lib import Trainer\n\nTrainer(max_epochs=3)\n",
        "import pytorch_lightning as pl\n",
        "import lightning as L\n",
        "from accelerate import Accelerator\n",
        "from mmcv.runner import BaseModule\n",
        "from mmengine.model import BaseModule\n",
        "from mmengine import hooks\n",
        "import detectron2.modeling\n",
        "from fastai.vision.all import Learner\n",
        "from skorch import NeuralNet\n",
        "from ignite.engine import Engine\n",
        "import stable_baselines3\n",
    ],
)
def test_signs_of_training(tmp_path: Path, sign: str) -> None:
    assert codes(tmp_path, {"net.py": NET, "serve.py": SERVE, "learn.py": sign}) == ["INI101"]


GUIDE = "def guide(net, x):\n    for _ in range(4):\n        net(x).sum().backward()\n        x = x - x.grad\n    return x\n"
LEFT = """
class Scaler:
    def __call__(self, loss, optimizer):
        self.scaler.scale(loss).backward()
        self.scaler.step(optimizer)


def optimizer_of(net):
    return torch.optim.AdamW(net.parameters())
"""


PIX = """
class Depth:
    def backward(self):
        self.loss.backward()

    def optimize_parameters(self):
        self.optimizer.zero_grad()
        self.backward()
        self.optimizer.step()


depth = Depth()
"""


@pytest.mark.parametrize(
    "code",
    [
        GUIDE,
        "# Trained by the Trainer with loss.backward() and optimizer.zero_grad().\n",
        "def name_of(module):\n    return module.startswith('pytorch_lightning') or 'Trainer' in module\n",
        "class Base:\n    def train(self):\n        raise NotImplementedError\n",
        "import mmcv\n\nimage = mmcv.imread('a.png')\n",
        "from detectron2.layers import ShapeSpec\n",
        "from contextlib import contextmanager\n\n\n@contextmanager\ndef train_mode(net, mode=True):\n    yield net.train(mode)\n",
        "def trainable_parameters(net):\n    return [each for each in net.parameters() if each.requires_grad]\n",
        f"import torch\n\n{LEFT}",
        PIX,
    ],
)
def test_what_takes_no_steps_trains_nothing(tmp_path: Path, code: str) -> None:
    assert codes(tmp_path, {"net.py": NET, "serve.py": SERVE, "other.py": code}) == []


def test_who_steps_in_another_file_than_the_gradient_trains(tmp_path: Path) -> None:
    loops = {
        "gradient.py": "def gradient(loss):\n    while loss:\n        loss.backward()\n",
        "steps.py": "def steps(optimizer):\n    while optimizer:\n        optimizer.step()\n",
    }
    assert codes(tmp_path, {"net.py": NET, "serve.py": SERVE, **loops}) == ["INI101"]


def test_who_steps_with_what_stands_elsewhere_trains(tmp_path: Path) -> None:
    left = {"net.py": NET, "serve.py": SERVE, "misc.py": f"import torch\n\n{LEFT}"}
    used = "from misc import Scaler, optimizer_of\n\n\ndef run(net, loss):\n    Scaler()(loss, optimizer_of(net))\n"
    assert codes(tmp_path, {**left, "run.py": used}) == ["INI101"]
    steps = (
        f"{PIX}\n\ndef run(depths):\n    for depth in depths:\n        depth.optimize_parameters()\n\n\nrun([depth])\n"
    )
    assert codes(tmp_path, {**left, "run.py": steps}) == ["INI101"]
    guided = {"net.py": NET, "serve.py": SERVE, "guide.py": GUIDE, "misc.py": f"import torch\n\n{LEFT}"}
    assert codes(tmp_path / "guided", guided) == []
