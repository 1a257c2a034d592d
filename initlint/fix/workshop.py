"""What a repair may look at: the texts, what is known of activations, the user's choices, every judged layer."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from initlint.fix.alternatives import may_be_computed, may_be_other
from initlint.fix.builders import find_builder
from initlint.fix.callers import is_callers_choice
from initlint.fix.containers import is_kept_plain
from initlint.fix.identity import Identity, identity, qualified
from initlint.fix.naming import name_layer
from initlint.fix.options import FixOptions
from initlint.fix.place import Place, find_place, find_place_in_owner
from initlint.fix.recommend import BARE, Call, Habit, Refusal, recommend
from initlint.fix.shows import COPIED, is_copied, is_for_show, is_passing, is_shown_by_script, is_test
from initlint.fix.spelling import Source, habit
from initlint.fix.statements import Wanted
from initlint.knowledge import Activation
from initlint.model import Chain, Finding, Judgement, Layer, Site
from initlint.pytest_names import is_test_double

REPAIRABLE = frozenset({"INI101", "INI102", "INI103", "INI104", "INI105", "INI106", "INI107"})
"""The rules whose findings say that a layer's gain does not fit what follows."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One layer that can be repaired, and how; `place` is None where only the call that wrote it can be rewritten.

    `builder` is the place in the function that builds it, for where nothing else names the layer.
    """

    judgement: Judgement
    call: Call
    place: Place | None
    zero_bias: bool
    builder: Place | None = None

    @property
    def layer(self) -> Layer:
        """The layer."""
        return self.judgement.layer

    @property
    def overrides(self) -> bool:
        """Whether an author's explicit choice is replaced."""
        return self.layer.weight.source != "default"

    @property
    def rewritable(self) -> Site | None:
        """The call that wrote the weight, if its arguments may be rewritten."""
        weight = self.layer.weight
        return weight.site if weight.editable and weight.source == "explicit" else None

    def inserted(self) -> Wanted | None:
        """The repair as new statements, None where there is no place for any."""
        return None if self.place is None else Wanted(self.layer, self.call, self.place, self.zero_bias, self.builder)


class Workshop:
    """The bench on which repairs are made; it reads each file at most once and changes nothing."""

    def __init__(
        self,
        texts: Mapping[str, str],
        activations: Mapping[str, Activation],
        options: FixOptions,
        judgements: Iterable[Judgement],
    ) -> None:
        self.options = options
        self._texts = texts
        self._activations = activations
        self._sources: dict[str, Source | None] = {}
        self._places: dict[tuple[Identity, str | None, Site | None], Place | Refusal] = {}
        self._habits: dict[tuple[ast.AST, ast.Module], Habit] = {}
        self._judgements = {identity(one.layer): one for one in judgements}
        self._members = {(one.model, one.layer.id): one for one in self._judgements.values()}
        self.census: tuple[Layer, ...] = tuple(self._named(one.layer) for one in self._judgements.values())

    @property
    def judgements(self) -> Iterable[Judgement]:
        """The judgements of all layers, one for each layer of the text."""
        return self._judgements.values()

    @cached_property
    def owned(self) -> frozenset[Site]:
        """The headers of the classes that hold a known layer, and where those build one: modules, whatever their bases are called."""
        held = [layer for layer in self.census if layer.owner_site is not None]
        return frozenset(site for layer in held for site in (layer.owner_site, layer.site) if site is not None)

    def is_in_test(self, file: str) -> bool:
        """Whether a file is part of the tests of what is at hand."""
        return is_test(file, self._root)

    def is_in_copy(self, file: str) -> bool:
        """Whether a file is part of another project, of which a copy is kept."""
        return is_copied(file, self._root)

    @cached_property
    def _root(self) -> str:
        """The innermost folder around all texts."""
        return os.path.commonpath([str(Path(file).parent) for file in self._texts]) if self._texts else ""

    @cached_property
    def idle(self) -> frozenset[Identity]:
        """The layers that keep torch's default and are applied nowhere: what suits their neighbours in a list suits them."""
        return frozenset(
            key
            for key, one in self._judgements.items()
            if one.verdict == "unknown" and one.chain is None and one.layer.weight.source == "default"
        )

    def source(self, file: str) -> Source | None:
        """A file with its syntax tree, None if its text is not at hand or does not parse."""
        if file not in self._sources:
            try:
                self._sources[file] = Source(file, self._texts[file]) if file in self._texts else None
            except SyntaxError:
                self._sources[file] = None
            self._recognize(self._sources[file])
        return self._sources[file]

    def _recognize(self, source: Source | None) -> None:
        """Take a file's `nn` for torch.nn where another module of its project gave it that name, as its layers tell."""
        if source is None or source.imports.get("nn", "torch.nn").startswith("torch."):
            return
        for judgement in self._judgements.values():
            layer = judgement.layer
            call = source.call_at(layer.site) if layer.site.file == source.file else None
            if call is not None and ast.unparse(call.func) == f"nn.{layer.kind}":
                source.imports["nn"] = "torch.nn"
                return

    def written_by(self, site: Site) -> tuple[Layer, ...]:
        """All known layers whose weight one call last wrote, or wrote before another call did."""
        return tuple(
            layer
            for layer in self.census
            if layer.weight.site == site or any(written.site == site for written in layer.history)
        )

    def agrees(self, layer: Layer, call: Call) -> bool:
        """Whether a layer that was not reported, a head for instance, would be given the same call."""
        judgement = self._judgements.get(identity(layer))
        return judgement is not None and self._call(judgement, Habit()) == call

    def misfits(self, chain: Chain, model: str) -> Iterator[Judgement]:
        """The layers of a chain whose gain does not fit, be they reported or not."""
        for layer in chain.layers:
            judgement = self._members.get((model, layer))
            if judgement is not None and judgement.verdict == "mismatch":
                yield judgement

    def companions(self, thrown: Iterable[Judgement]) -> tuple[Repair, ...] | Refusal:
        """The repairs of layers that misfit once others are repaired, or why one cannot be repaired."""
        then = {_name_in_file(one): one for one in thrown}
        found = {
            name: _misfit_as(judgement, then[name])
            for judgement in self._judgements.values()
            if (name := _name_in_file(judgement)) in then
        }
        if len(found) < len(then):
            return Refusal("not all of its chain is known")
        return self._repairs(tuple(found.values()))

    def repairs(self, finding: Finding) -> tuple[Repair, ...] | Refusal:
        """The repairs of all layers that a finding rests on, or why it cannot be repaired."""
        return self._repairs(finding.judgements)

    def _repairs(self, judgements: Sequence[Judgement]) -> tuple[Repair, ...] | Refusal:
        covered = frozenset(identity(judgement.layer) for judgement in judgements)
        repairs: dict[Identity, Repair] = {}
        for judgement in judgements:
            repair = self._repair(judgement, covered)
            if isinstance(repair, Refusal):
                return repair
            known = repairs.setdefault(identity(repair.layer), repair)
            if known.call != repair.call:
                return Refusal("it is used before different activations")
        if not repairs:
            return Refusal("it names no layer")
        return self._in_factory(list(repairs.values()))

    def _in_factory(self, repairs: list[Repair]) -> tuple[Repair, ...]:
        """The same repairs, those written where a function builds the layer if that reaches all that it builds."""
        factory = next((one for one in repairs if one.place is not None and one.place.definition is None), None)
        covered = {identity(repair.layer) for repair in repairs}
        if factory is None or any(
            layer.site == factory.layer.site and identity(layer) not in covered for layer in self.census
        ):
            return tuple(repairs)
        return tuple(
            replace(one, place=factory.place) if one.layer.site == factory.layer.site else one for one in repairs
        )

    def _repair(self, judgement: Judgement, covered: Container[Identity]) -> Repair | Refusal:
        judgement = replace(judgement, layer=self._named(judgement.layer))
        layer = judgement.layer
        place = Refusal("it is a bare parameter") if layer.kind == BARE else self._place(layer)
        usual = self._habit(place, layer) if isinstance(place, Place) else Habit()
        call = self._call(judgement, usual, place)
        if isinstance(call, Refusal):
            return call
        if isinstance(place, Place) and may_be_other(layer, place, self.source):
            place = Refusal("what builds or brings it may make it another layer")
        elif isinstance(place, Place) and may_be_computed(layer, place):
            place = Refusal("what builds it may have its weight computed, and an initializer's values are lost then")
        if isinstance(place, Place) and self._is_inherited_by_others(judgement, place):
            place = find_place_in_owner(layer, self.source)
        if isinstance(place, Place) and judgement.decisive is not None:
            decisive = judgement.decisive
            if place.takes(decisive.activation, decisive.site, self._agreeing(decisive.activation)):
                return Refusal("who builds the model chooses the activation")
        zero_bias = self.options.bias == "zeros" and layer.bias is not None and not layer.bias.is_constant
        whole = layer.kind != BARE and self._is_whole(covered, layer.site, call)
        builder = find_builder(layer, self.source) if whole else None
        found = place if isinstance(place, Place) else builder
        if self._is_in_the_dark(judgement):
            return Refusal("what fills another layer of its chain is not known")
        if judgement.partial:
            return Refusal("where others build it, no such activation follows")
        if isinstance(place, Place) and is_kept_plain(place):
            return Refusal("a plain list keeps it from what trains the model")
        objection = self._objection(layer)
        if objection is not None:
            return objection
        if isinstance(place, Place) and self._is_used_otherwise(layer, place, covered, call):
            return Refusal("others who build it use it otherwise")
        if found is not None and self._is_untrained(found):
            return Refusal("nothing trains it where it is built")
        repair = Repair(judgement, call, found, zero_bias, builder)
        return place if isinstance(place, Refusal) and found is None and repair.rewritable is None else repair

    def _objection(self, layer: Layer) -> Refusal | None:
        """What speaks against a change of a layer whatever it is."""
        files = {layer.site.file, (layer.owner_site or layer.site).file}
        if any(map(self.is_in_test, files)) or is_test_double(layer.owner or ""):
            return Refusal("a test may compare its numbers")
        if any(map(self.is_in_copy, files)):
            return COPIED
        if layer.weight.source == "explicit" and self._is_callers_choice(layer):
            return Refusal("who calls its initializer chooses how it draws")
        return None

    def _is_used_otherwise(self, layer: Layer, place: Place, covered: Container[Identity], call: Call) -> bool:
        """Whether a class that holds what the function at a place builds would not have the layer initialized so."""
        return place.definition is None and any(
            other.site == layer.site
            and other.owner_site is not None
            and f".{other.path}".endswith(f".{layer.path}")
            and identity(other) not in covered
            and not self.agrees(other, call)
            for other in self.census
        )

    def _is_in_the_dark(self, judgement: Judgement) -> bool:
        """Whether a layer was left to torch, and a hidden one of its chain is filled in a way that is not known."""
        if judgement.chain is None or judgement.layer.weight.source != "default":
            return False
        members = (self._members.get((judgement.model, layer)) for layer in judgement.chain.layers[:-1])
        return any(
            one is not None and one.verdict == "unknown" and one.layer.weight.source != "default" for one in members
        )

    def _is_untrained(self, place: Place) -> bool:
        """Whether nothing trains what is built at a place, or any object of the class around it."""
        if place.definition is None and place.function is not None:
            return is_for_show(place)
        source, definition = place.source, place.definition
        name = place.access.root_text if definition is None else definition.name
        if definition is not None and self._is_named_elsewhere(name, source.file):
            return False
        if definition is not None and is_passing(definition, source):
            return True
        return is_shown_by_script(name, source) and not self._is_named_elsewhere(Path(source.file).stem, source.file)

    def _is_named_elsewhere(self, name: str, file: str) -> bool:
        """Whether another file names a class or module, and no class of its own."""
        others = (text for other, text in self._texts.items() if other != file and name in text)
        word = re.compile(rf"\b{re.escape(name)}\b")
        return any(f"class {name}(" not in text and word.search(text) for text in others)

    def _is_callers_choice(self, layer: Layer) -> bool:
        """Whether whoever calls the code around its initializer chooses the function or the numbers."""
        site = layer.weight.site
        source = None if site is None else self.source(site.file)
        call = None if site is None or source is None else source.call_at(site)
        return call is not None and source is not None and is_callers_choice(call, source)

    def _is_inherited_by_others(self, judgement: Judgement, place: Place) -> bool:
        """Whether other heirs of the class at a place apply the layer too, but never before the same activation."""
        layer = judgement.layer
        if judgement.decisive is None or place.definition is None or place.definition.name == layer.owner:
            return False
        return any(
            other.layer.owner != layer.owner
            and other.layer.path == layer.path
            and identity(other.layer) not in self.idle
            and all(one.activation != judgement.decisive.activation for one in other.followers)
            for other in self._built_at(layer.site)
        )

    def _built_at(self, site: Site) -> Iterator[Judgement]:
        """The judgements of the layers that one line builds."""
        return (one for one in self._judgements.values() if one.layer.site == site)

    def _agreeing(self, activation: str) -> Mapping[str, bool]:
        """Which activations ask for the function and gain that one does; by slopes alone none differs."""
        wanted = dict(self._activations[activation].recommended)
        agreeing: dict[str, bool] = {}
        for name, other in self._activations.items():
            asked = dict(other.recommended)
            family = {asked.get("nonlinearity"), wanted.get("nonlinearity")}
            agreeing[name] = not asked or asked == wanted or family <= {"relu", "leaky_relu"}
        return agreeing

    def _place(self, layer: Layer) -> Place | Refusal:
        """Where a call for `layer` may be written; many models have one layer of the text."""
        key = (identity(layer), layer.access, layer.weight.site)
        if key not in self._places:
            self._places[key] = find_place(layer, self.source)
        return self._places[key]

    def _habit(self, place: Place, layer: Layer) -> Habit:
        """What the code around a place uses, for convolutions or for linear layers."""
        key = (place.definition or place.function or place.source.tree, place.source.tree)
        if key not in self._habits:
            self._habits[key] = habit(*key)
        found = self._habits[key]
        return found if found.mode is None or self._is_scaled_so(layer, place) else replace(found, mode=None)

    def _is_scaled_so(self, layer: Layer, place: Place) -> bool:
        """Whether the initializers around a place that scale by fan_out are for layers like one, as far as that is known."""
        scope = place.definition or place.function
        linear = {
            other.kind == "Linear"
            for other in self.census
            if dict(other.weight.arguments).get("mode") == "fan_out"
            and other.weight.site is not None
            and other.weight.site.file == place.source.file
            and (scope is None or place.source.contains(scope, other.weight.site))
        }
        return not linear or (layer.kind == "Linear") in linear

    def _is_whole(self, covered: Container[Identity], site: Site, call: Call) -> bool:
        """Whether every layer that is built at a site is among the covered ones, or would be given the same call."""
        built = [layer for layer in self.census if layer.site == site and identity(layer) not in covered]
        return all(self.agrees(layer, call) for layer in built)

    def _call(self, judgement: Judgement, usual: Habit, place: Place | Refusal | None = None) -> Call | Refusal:
        stride = self._stride(judgement.layer)
        site = None if judgement.decisive is None else judgement.decisive.site
        together = isinstance(place, Place) and site is not None and place.source.contains(place.value, site)
        return recommend(judgement, self._activations, usual, self.options, stride=stride, together=together)

    def _named(self, layer: Layer) -> Layer:
        """A layer with the expression that names it: outside of any class too, and in the quotes of its file."""
        known = bool(layer.owner) if layer.access is None else '"' not in layer.access
        source = None if known else self.source((layer.owner_site or layer.site).file)
        if source is None:
            return layer
        access = name_layer(layer, source) if layer.access is None else layer.access.replace('"', source.quote)
        return replace(layer, access=access)

    def _stride(self, layer: Layer) -> int | None:
        """The stride that a convolution is built with: torch's default or a number, None where it is computed."""
        source = self.source(layer.site.file) if layer.transposed else None
        call = None if source is None else source.call_at(layer.site)
        if call is None or any(isinstance(one, ast.Starred) for one in call.args):
            return None
        if any(keyword.arg is None for keyword in call.keywords):
            return None
        written = next((keyword.value for keyword in call.keywords if keyword.arg == "stride"), None)
        if written is None and len(call.args) > 3:
            written = call.args[3]
        if written is None:
            return 1
        return written.value if isinstance(written, ast.Constant) and isinstance(written.value, int) else None


def _name_in_file(judgement: Judgement) -> tuple[str, str]:
    """What a layer is known by when lines shift."""
    return judgement.layer.site.file, qualified(judgement.layer)


def _misfit_as(judgement: Judgement, then: Judgement) -> Judgement:
    """A layer that fits as long as others do not, judged as it will be; where things are is said by what is at hand."""
    if judgement.verdict == "mismatch" or judgement.decisive is None:
        return judgement
    return replace(judgement, verdict=then.verdict, ideal=then.ideal, bands=then.bands)
