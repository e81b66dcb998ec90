"""What a deletion does to others, where objects refer to themselves, twice, or from inside a member."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import Field

from palace import verbs
from palace.call import Account, Call
from palace.errors import ClientError, InUse
from palace.resource import Document, Names, Reference, Resource
from palace.validation import Model
from palace.verbs.deleting import list_references
from palace.vocabulary import Words
from tests.inside import Inside, inside


class Part(Model):
    """Something inside a node that names other nodes."""

    of: str | None = None
    known: list[str] = Field(default_factory=list)


class Node(Model):
    """An object that may name any other one, itself too, at several places."""

    needs: str | None = None
    near: list[str] = Field(default_factory=list)
    parts: list[Part] = Field(default_factory=list)
    by_name: dict[str, str] = Field(default_factory=dict)


NODE = Resource(
    kind="node",
    names=Names("nodes", "Nodes", "a node", "node_id", "n", "n0123456789a"),
    model=Node,
    example={},
    endpoints=(),
    references=(
        Reference(("needs",), "node", "No such node", "refuse"),
        Reference(("near", "*"), "node", "No such node", "remove"),
        Reference(("parts", "*", "of"), "node", "No such node", "clear"),
        Reference(("parts", "*", "known", "*"), "node", "No such node", "remove"),
        Reference(("by_name", "*"), "node", "No such node", "remove"),
    ),
)


class World:
    """Nodes, made and deleted in this process."""

    def __init__(self, palace: Inside) -> None:
        services = replace(palace.services, kinds={**palace.services.kinds, "node": NODE})
        self.palace, self.services = palace, services

    def call(self, handler, id: str = "", body=None, **query: str):
        account = Account(self.palace.account, "k-inside")
        call = Call(account, Words(), {"id": id}, body=body, body_as_sent=body, query=query)
        return self.palace.run(handler(NODE, call, self.services))

    def make(self, **members) -> str:
        self.call(verbs.create, body=members)
        return self.newest()

    def newest(self) -> str:
        [node] = json.loads(self.call(verbs.list_page, sort="desc", limit="1").document)["data"]
        return str(node["node_id"])

    def read(self, id: str) -> Document:
        found: Document = json.loads(self.call(verbs.read, id).document)
        return found

    def edit(self, id: str, **members) -> None:
        self.call(verbs.edit, id, members)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with inside(tmp_path_factory.mktemp("nodes")) as palace:
        yield World(palace)


def test_an_object_that_names_itself_is_deleted_like_any_other(world: World) -> None:
    id = world.make()
    world.edit(id, near=[id], parts=[{"of": id, "known": [id]}])
    world.call(verbs.delete, id)
    with pytest.raises(ClientError):
        world.read(id)


def test_an_object_that_needs_itself_does_not_keep_itself(world: World) -> None:
    id = world.make()
    world.edit(id, needs=id)
    world.call(verbs.delete, id)
    with pytest.raises(ClientError):
        world.read(id)


def test_two_that_name_each_other_are_deleted_one_after_the_other(world: World) -> None:
    one = world.make()
    other = world.make(near=[one])
    world.edit(one, near=[other])
    world.call(verbs.delete, one)
    assert world.read(other)["near"] == []
    world.call(verbs.delete, other)


def test_what_needs_it_and_names_it_too_is_refused_and_keeps_only_what_it_needs(world: World) -> None:
    id = world.make()
    user = world.make(needs=id, near=[id])
    with pytest.raises(InUse):
        world.call(verbs.delete, id)
    assert world.read(user)["near"] == [id]
    world.call(verbs.delete, id, cascade="true")
    assert (world.read(user)["needs"], world.read(user)["near"]) == (id, [])


def test_every_place_that_names_it_lets_go_and_no_other(world: World) -> None:
    gone, kept = world.make(), world.make()
    user = world.make(
        near=[gone, kept, gone, kept],
        parts=[{"of": gone, "known": [gone, kept]}, {"of": kept, "known": [kept, gone, gone]}],
        by_name={"a/b": gone, "~": kept, "c": gone},
    )
    world.call(verbs.delete, gone)
    after = world.read(user)
    assert after["near"] == [kept, kept]
    assert after["parts"] == [{"of": None, "known": [kept]}, {"of": kept, "known": [kept]}]
    assert after["by_name"] == {"~": kept}
    [entry] = users(world, kept)
    assert sorted(entry["pointers"]) == sorted(
        ["/near/0", "/near/1", "/parts/0/known/0", "/parts/1/of", "/parts/1/known/0", "/by_name/~0"]
    )


def users(world: World, id: str) -> list[Document]:
    found: list[Document] = json.loads(world.call(list_references, id).document)["data"]
    return found
