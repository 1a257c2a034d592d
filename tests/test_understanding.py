"""What the scanner makes of small programs: which layers there are, what wrote them, and what they run into."""

from __future__ import annotations

import math

import pytest
from understanding import Understanding, followers

from initlint import check_paths
from initlint.config import Settings


def test_a_size_of_a_tensor_is_a_number(understand: Understanding) -> None:
    layers = understand("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(8, 8)
                self.fc2 = nn.Linear(8, 8)
                self.fc3 = nn.Linear(8, 8)

            def forward(self, x):
                x = torch.relu(self.fc1(x) * x.shape[1] ** 0.5)
                b, n = x.shape
                x = torch.relu(self.fc2(x) / n)
                return torch.relu(self.fc3(x) * x.size(-1))
        """)
    for name in ("fc1", "fc2", "fc3"):
        assert followers(layers[f"Net.{name}"]) == ["relu"]
        assert layers[f"Net.{name}"].verdict == "exempt"  # by how much it is rescaled is not known


def test_a_list_of_modules_keeps_the_place_of_none(understand: Understanding) -> None:
    layers = understand("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.levels = nn.ModuleList()
                for level in range(3):
                    skip = nn.Linear(16, 8) if level else None
                    self.levels.append(nn.ModuleList([skip, nn.Linear(8, 8), nn.ReLU()]))

            def forward(self, x):
                for skip, layer, act in self.levels:
                    if skip is not None:
                        x = skip(torch.cat([x, x], dim=1))
                    x = act(layer(x))
                return x
        """)
    assert followers(layers["Net.levels.0.1"]) == ["relu"]
    assert followers(layers["Net.levels.2.1"]) == ["relu"]
    assert followers(layers["Net.levels.1.0"]) == []
    assert len(layers) == 5


def test_a_width_that_is_not_known_yet_has_no_scale(understand: Understanding) -> None:
    layers = understand("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(-1, 8)
                nn.init.xavier_uniform_(self.fc.weight)

            def forward(self, x):
                return torch.relu(self.fc(x))
        """)
    assert layers["Net.fc"].layer.weight.gain == 1
    assert layers["Net.fc"].layer.weight.std is None


def test_what_xavier_makes_of_widths_is_known_where_their_ratio_is(understand: Understanding) -> None:
    found = understand(
        """
        class Net(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.up = nn.Linear(width, 4 * width)
                self.down = nn.Linear(4 * width, width)
                self.price = nn.Linear(width, 1)
                for layer in (self.up, self.price):
                    nn.init.xavier_uniform_(layer.weight)
                nn.init.orthogonal_(self.down.weight)

            def forward(self, x):
                return torch.relu(self.price(torch.relu(self.down(torch.relu(self.up(x))))))
        """
    )
    gains = {name: judgement.layer.weight.effective_gain for name, judgement in found.items()}
    assert gains == pytest.approx({"Net.up": math.sqrt(2 / 5), "Net.down": 1.0, "Net.price": math.sqrt(2)})
    assert [found[f"Net.{name}"].verdict for name in ("up", "down", "price")] == ["mismatch", "mismatch", "match"]


def test_one_of_several_modules_is_initialized_through_a_mapping(understand: Understanding) -> None:
    layers = understand("""
        def init(module, gain):
            if isinstance(module, nn.Linear):
                nn.init.orthogonal_(module.weight, gain)


        class Net(nn.Module):
            def __init__(self, wide):
                super().__init__()
                self.body = nn.Linear(8, 8)
                self.head = nn.Linear(8, 2) if wide else nn.Sequential(nn.Linear(8, 2))
                for module, gain in {self.body: 2**0.5, self.head: 0.01}.items():
                    for each in module.modules():
                        init(each, gain)

            def forward(self, x):
                return self.head(torch.relu(self.body(x)))
        """)
    assert layers["Net.body"].verdict == "match"
    assert {found.layer.weight.function for found in layers.values()} == {"orthogonal_"}


def test_weights_that_are_scaled_down_in_place_keep_their_initializer(understand: Understanding) -> None:
    layers = understand("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(8, 8)
                self.fc2 = nn.Linear(8, 8)
                self.fc3 = nn.Linear(8, 8)
                for layer in (self.fc1, self.fc2, self.fc3):
                    nn.init.kaiming_normal_(layer.weight)
                self.fc1.weight.data *= 0.5
                self.fc2.weight.data /= 4
                self.fc3.weight.data.div_(2)

            def forward(self, x):
                return torch.relu(self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x))))))
        """)
    gains = {name: found.layer.weight.gain for name, found in layers.items()}
    assert gains == {
        "Net.fc1": pytest.approx(2**0.5 / 2),
        "Net.fc2": pytest.approx(2**0.5 / 4),
        "Net.fc3": pytest.approx(2**0.5 / 2),
    }


def test_a_search_that_ends_in_an_error_returns_what_it_may_have_found(understand: Understanding) -> None:
    layers = understand("""
        def find(name):
            for each in vars(torch.nn.modules.activation).values():
                if each.__name__.lower() == name:
                    return each()
            raise ValueError(name)


        class Net(nn.Module):
            def __init__(self, act="relu"):
                super().__init__()
                self.fc1 = nn.Linear(8, 8)
                self.act = find(act)
                self.fc2 = nn.Linear(8, 8)

            def forward(self, x):
                return torch.relu(self.fc2(self.act(self.fc1(x))))
        """)
    assert set(layers) == {"Net.fc1", "Net.fc2"}
    assert layers["Net.fc2"].verdict == "mismatch"


OPTIONAL = """
    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.score = nn.Linear(8, 8)

        def forward(self, x):
            return torch.relu(self.score(x))


    class Block(nn.Module):
        def __init__(self, attention=None, deep=False):
            super().__init__()
            self.fc = nn.Linear(8, 8)
            self.extra = nn.Linear(8, 8) if deep else None
            self.attention = Attend() if attention == "attend" else nn.Identity()

        def forward(self, x):
            x = torch.relu(self.fc(x))
            if self.extra is not None:
                x = torch.relu(self.extra(x))
            return self.attention(x)
    """


def test_a_branch_that_no_default_takes_is_read_all_the_same(understand: Understanding) -> None:
    layers = understand(OPTIONAL)
    assert set(layers) == {"Block.fc", "Block.extra", "Attend.score"}
    assert layers["Block.extra"].layer.weight.source == "default"
    assert layers["Block.extra"].verdict == "mismatch"


def test_what_a_whole_model_sweeps_is_not_judged_by_its_parts(understand: Understanding) -> None:
    layers = understand(
        OPTIONAL
        + """
    class Net(nn.Module):
        def __init__(self, attention=None, deep=False):
            super().__init__()
            self.block = Block(attention, deep)
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    nn.init.kaiming_normal_(module.weight)

        def forward(self, x):
            return self.block(x)
    """
    )
    assert layers["Block.fc"].verdict == "match"
    assert layers["Block.extra"].verdict == "match"
    assert layers["Attend.score"].verdict == "match"


def test_a_finding_that_holds_in_one_context_only_names_it(understand: Understanding) -> None:
    understand("""
        class Block(nn.Module):
            def __init__(self, width, norm):
                super().__init__()
                self.fc = nn.Linear(width, width)
                self.norm = norm

            def forward(self, x):
                return torch.relu(self.norm(self.fc(x)))


        class Plain(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(*[Block(64, nn.Identity()) for _ in range(4)])

            def forward(self, x):
                return self.body(x)


        class Normed(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = Block(64, nn.LayerNorm(64))

            def forward(self, x):
                return self.body(x)
        """)
    findings = check_paths([understand.file], settings=Settings())
    assert [found.code for found in findings] == ["INI101"]
    assert findings[0].message.startswith("`Block.fc`, when built by Plain in net.py, keeps torch's default init")


def test_a_sweep_leaves_out_no_module_however_many_there_are(understand: Understanding) -> None:
    layers = understand("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.ModuleList([nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(200)])
                self.last = nn.Linear(8, 8)
                for module in self.modules():
                    if isinstance(module, nn.Linear):
                        nn.init.kaiming_normal_(module.weight)

            def forward(self, x):
                for block in self.body:
                    x = block(x)
                return torch.relu(self.last(x))
        """)
    assert layers["Net.last"].layer.weight.function == "kaiming_normal_"


def test_an_activation_is_shown_where_it_is_named(understand: Understanding) -> None:
    """Inside a container and in a loop over modules that is where it is built, else where it is called."""
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(
                    nn.Linear(8, 8),
                    nn.ReLU(),  # seen
                )
                self.steps = nn.ModuleList([nn.Linear(8, 8), nn.Tanh()])  # seen
                self.act = nn.GELU()
                self.fc = nn.Linear(8, 8)
                self.last = nn.Linear(8, 8)

            def forward(self, x):
                x = self.body(x)
                for step in self.steps:
                    x = step(x)
                x = self.act(  # seen
                    self.fc(x)
                )
                return torch.sigmoid(self.last(x))  # seen
    """
    shown = {
        each.followers[0].activation: each.followers[0].site for each in understand(source).values() if each.followers
    }
    lines = understand.file.read_text(encoding="utf-8").splitlines()
    seen = [number for number, text in enumerate(lines, start=1) if text.endswith("# seen")]
    assert [site and site.line for site in shown.values()] == seen
    assert list(shown) == ["relu", "tanh", "gelu", "sigmoid"]


def test_a_constant_std_may_be_too_small_for_any_width(understand: Understanding) -> None:
    layers = understand("""
        class Net(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.fc1 = nn.Linear(width, width)
                self.fc2 = nn.Linear(width, width)
                self.head = nn.Linear(width, 1)
                nn.init.normal_(self.fc1.weight, std=0.001)
                nn.init.normal_(self.fc2.weight, std=0.02)

            def forward(self, x):
                return self.head(torch.relu(self.fc2(torch.relu(self.fc1(x)))))
        """)
    assert layers["Net.fc1"].verdict == "mismatch"
    assert layers["Net.fc2"].verdict == "unknown"


def test_a_layer_for_an_optional_input_is_met_when_it_is_given(understand: Understanding) -> None:
    layers = understand("""
        class Net(nn.Module):
            def __init__(self, width, context):
                super().__init__()
                self.inward = nn.Linear(width, width)
                self.context = nn.Linear(context, width)
                self.head = nn.Linear(width, 1)

            def forward(self, x, context=None):
                x = self.inward(x)
                if context is not None:
                    x = x + self.context(context)
                return self.head(torch.tanh(x))
        """)
    assert followers(layers["Net.context"]) == ["tanh"]


def test_options_are_opened_with_the_words_that_choose_an_activation_kept(understand: Understanding) -> None:
    layers = understand("""
        ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}

        class Block(nn.Module):
            def __init__(self, width, shapes, activation):
                super().__init__()
                self.inward = nn.Linear(width, width)
                self.activation = ACTIVATIONS[activation]()
                if shapes is not None:
                    self.context = nn.Linear(sum(shapes), width)

            def forward(self, x, context):
                x = self.inward(x)
                if context is not None:
                    x = x + self.context(context)
                return self.activation(x)

        class Net(nn.Module):
            def __init__(self, width, shapes=None, activation="tanh", outputs=None):
                super().__init__()
                self.block = Block(width, shapes, activation)
                self.out = nn.Linear(width, width if outputs is None else outputs)
                if outputs is not None:
                    self.extra = nn.Linear(outputs, outputs)

            def forward(self, x, context=None):
                return self.out(self.block(x, context))
        """)
    assert followers(layers["Block.context"]) == ["tanh"]


def test_a_slope_that_is_not_known_hides_no_activation(understand: Understanding) -> None:
    layers = understand("""
        class Net(nn.Module):
            def __init__(self, width, slope):
                super().__init__()
                self.body = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(slope), nn.Linear(width, 1))

            def forward(self, x):
                return self.body(x)
        """)
    assert followers(layers["Net.body.0"]) == ["leaky_relu"]
    assert (layers["Net.body.0"].verdict, layers["Net.body.0"].reason) == (
        "exempt",
        "a parameter of its activation is not known",
    )


def test_options_by_keyword_are_opened_and_their_words_are_kept(understand: Understanding) -> None:
    layers = understand("""
        ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}

        class Body(nn.Module):
            def __init__(self, *, width, classes=None, activation="tanh"):
                super().__init__()
                self.inward = nn.Linear(width, width)
                self.activation = ACTIVATIONS[activation]()
                self.head = nn.Linear(width, 1) if classes is None else nn.Linear(width, classes)

            def forward(self, x):
                return torch.sigmoid(self.head(self.activation(self.inward(x))))

        class Net(nn.Module):
            def __init__(self, **options):
                super().__init__()
                self.body = Body(**options)

            def forward(self, x):
                return self.body(x)

        class Tokens(nn.Module):
            def __init__(self, width, *, tokens=None):
                super().__init__()
                self.out = nn.Sequential(nn.Linear(width, tokens), nn.ReLU()) if tokens is not None else nn.Identity()

            def forward(self, x):
                return self.out(x)
        """)
    assert followers(layers["Tokens.out.0"]) == ["relu"]
    assert followers(layers["Body.inward"]) == ["tanh"]
    assert followers(layers["Body.head"]) == ["sigmoid"]


def test_each_registry_that_a_function_makes_is_one_of_its_own(understand: Understanding) -> None:
    layers = understand("""
        from elsewhere import TABLE


        def registrar(table):
            def register(function):
                table[function.__name__] = function
                return function
            return register


        ACTIVATIONS = {}
        elsewhere, activation = registrar(TABLE), registrar(ACTIVATIONS)


        @elsewhere
        def other(x):
            return x


        @activation
        def saturate(x):
            return torch.tanh(x)


        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 8)
                self.head = nn.Linear(8, 1)

            def forward(self, x):
                return self.head(ACTIVATIONS["saturate"](self.fc(x)))
        """)
    assert followers(layers["Net.fc"]) == ["tanh"]
