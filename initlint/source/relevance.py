"""Which files and definitions can matter: those that make or initialize layers, and those that lead to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from initlint.source.definitions import Definition, defined, definitions, tables, top_level
from initlint.source.imports import imported_files, imports

if TYPE_CHECKING:
    from initlint.knowledge import Knowledge
    from initlint.source.project import Project, SourceFile

_MEMBER = re.compile(r"\.\s*([A-Za-z_]\w*)")
_MOST_HOPS = 3
_OWN_SEEDS = frozenset({"Parameter", "init_weights", "_init_weights"})


class Relevance:
    """What of a project is worth running, judged by words alone.

    A name leads to a definition where the file defines it, imports it from the project, or reads it off a module.
    """

    def __init__(self, project: Project, knowledge: Knowledge) -> None:
        self._project = project
        self._targets = frozenset(project.targets)
        self._torch, self._libraries = _layer_words(knowledge)
        self._borrowed: frozenset[str] = frozenset()
        self._seeds: dict[SourceFile, frozenset[str]] = {}
        self._names: dict[SourceFile, _Names] = {}
        self._meant: dict[Definition, frozenset[str]] = {}
        self._definitions: dict[SourceFile, list[Definition]] = {}

    def seeds(self, file: SourceFile) -> frozenset[str]:
        """The last parts of the names of everything that makes a layer or initializes one, as `file` may call it."""
        known = self._seeds.get(file)
        if known is None:
            known = self._torch.union(*(names for library, names in self._libraries.items() if library in file.words))
            self._seeds[file] = known
        return known | self._borrowed

    @cached_property
    def files(self) -> list[SourceFile]:
        """The named files that make or initialize layers, or mention a name by which another file leads to some."""
        files = self._project.targets
        kept = [file for file in files if "torch" in file.text and file.words & self.seeds(file)]
        borrowing = {file for file in files if "Module" in file.words and self._borrows(file)}
        chosen = {*kept, *borrowing}
        while True:
            names = self._leading_names(file for file in files if file in chosen)
            added = [file for file in files if file not in chosen and "import" in file.words and file.words & names]
            if not added:
                return [file for file in files if file in chosen and file.tree is not None]
            chosen.update(added)

    def definitions(self, file: SourceFile) -> list[Definition]:
        """The functions and classes at the top level of `file`, each time the same."""
        known = self._definitions.get(file)
        if known is None:
            known = self._definitions[file] = list(definitions(file))
        return known

    def _leading_names(self, files: Iterable[SourceFile]) -> frozenset[str]:
        """The names by which what makes or initializes layers in `files`, or leads to some, is known."""
        found = self.interesting([each for file in files for each in self.definitions(file)])
        return frozenset(name for each in found for name in each.known_as)

    def _borrows(self, file: SourceFile) -> bool:
        """Whether a file builds on layers that files which were not named define; their names then count as layers."""
        lenders = [
            each
            for each in imported_files(self._project, file)
            if each not in self._targets and each.words & self.seeds(each)
        ]
        names = {name for each in lenders if each.tree is not None for name in defined(each.tree)} & file.words
        self._borrowed |= names
        return bool(names)

    def users(self, files: list[SourceFile]) -> list[SourceFile]:
        """The files around the named ones that use what these define, and those that use them in turn."""
        known = list(self._project.targets)
        added: list[SourceFile] = []
        newest = set(files)
        names = {node.name for file in files for node in top_level(file) if len(node.name) > 1}
        for _ in range(_MOST_HOPS):
            mentioning = self._project.mentioning(names, known)
            newest = {file for file in mentioning if not newest.isdisjoint(imported_files(self._project, file))}
            if not newest:
                break
            added += [file for file in mentioning if file in newest]
            known += newest
        return added

    def interesting(self, found: list[Definition]) -> list[Definition]:
        """Those that make or initialize layers, or lead to others that do."""
        users: dict[str, list[Definition]] = {}
        for each in found:
            for name in self.names(each):
                users.setdefault(name, []).append(each)
        pending = [each for each in found if each.words & self.seeds(each.file)]
        kept = set(pending)
        while pending:
            each = pending.pop()
            for name in each.known_as:
                for user in users.pop(name, ()):
                    if user not in kept:
                        kept.add(user)
                        pending.append(user)
        return [each for each in found if each in kept]

    def mentioned(self, found: list[Definition]) -> frozenset[str]:
        """The names of those that some other definition uses."""
        names = {each.name for each in found}
        return frozenset(name for each in found for name in self.names(each) & names if name != each.name)

    def names(self, definition: Definition) -> frozenset[str]:
        """The names of definitions of the project that the code of `definition` may mean."""
        known = self._meant.get(definition)
        if known is None:
            known = self._meant[definition] = self._visible(definition.file).meant_by(definition)
        return known

    def means(self, user: Definition, used: Definition) -> bool:
        """Whether `user`, whose code has the name of `used`, does not mean another one that its own file defines."""
        return user.file is used.file or used.name not in self._visible(user.file).here

    def _visible(self, file: SourceFile) -> _Names:
        visible = self._names.get(file)
        if visible is None:
            visible = self._names[file] = _Names(self._project, file)
        return visible


class _Names:
    """What a file can call by name: what it defines, what it imports, and everything below the modules it imports."""

    def __init__(self, project: Project, file: SourceFile) -> None:
        self.here = frozenset(defined(file.tree)) if file.tree is not None else frozenset[str]()
        self.imported: dict[str, str] = {}
        self.everything = False
        self.modules = False
        self.tables: dict[str, frozenset[str]] = {}
        for name, original, source, below in imports(project, file):
            self.modules |= below is not None or (source is not None and (source.is_package or not original))
            if source is not None and original == "*":
                self.everything = True
            elif source is not None and original:
                self.imported[name] = original
                self.tables.update((name, held) for table, held in tables(source) if table == original)
        for name, held in tables(file):
            self.tables[name] = frozenset(self.imported.get(each, each) for each in held)

    def meant_by(self, definition: Definition) -> frozenset[str]:
        """The names of definitions that the words of one definition of this file may stand for."""
        words = definition.words
        if self.everything:
            return words
        found = {self.imported.get(word, word) for word in words if word in self.here or word in self.imported}
        found.update(*(self.tables[word] for word in words & self.tables.keys()))
        if self.modules:
            found.update(_MEMBER.findall(definition.code))
        return frozenset(found)


def _layer_words(knowledge: Knowledge) -> tuple[frozenset[str], Mapping[str, frozenset[str]]]:
    """The words for layers and initializers: torch's own, and those of each library, which may be everyday words."""
    layers = [name for name, fact in knowledge.layers.items() if fact.role not in ("norm", "activation")]
    libraries: dict[str, set[str]] = {}
    for name in (*layers, *(name for name in knowledge.initializers if not name.startswith("Tensor."))):
        libraries.setdefault(name.partition(".")[0], set()).add(name.rpartition(".")[2])
    torch = libraries.pop("torch", set())
    return _OWN_SEEDS | torch, {library: frozenset(names) for library, names in libraries.items()}
