"""Random histories of one PAL, told as rules of a state machine, against a plain model of them."""

import copy
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from palace.json_patch import apply_patch, parse_pointer
from tests.acceptance.model import GONE, Model, Said, differing, differs, members, operation, pointer, same, value_at
from tests.acceptance.random_pals import (
    FREE_FORMS,
    KEYS,
    LAYERS,
    LISTS,
    SHAPES,
    TEXTS,
    URLS,
    free_values,
    layer_names,
    names,
    tags,
    whole_layers,
    words,
)
from tests.inside import Answered, Inside
from tests.serving import STOCK_FACE

LLM_KEY, TTS_KEY = "/layers/llm/api_key", "/layers/tts/api_key"


class Histories(RuleBasedStateMachine):
    """One PAL, changed in every way there is; after each change the model knows what it said and hid."""

    def __init__(self, palace: Inside) -> None:
        super().__init__()
        self.pal = Model(palace)

    def teardown(self) -> None:
        if self.pal.said:
            self.pal.check_history()

    def patch(self, *operations: dict[str, Any], allowed: tuple[int, ...] = ()) -> bool:
        return self.pal.patch(*operations, allowed=allowed)

    @property
    def document(self) -> dict[str, Any]:
        return self.pal.now.document

    alive = precondition(lambda self: not self.pal.deleted)

    # --- Changes ------------------------------------------------------------------------------------------------------

    @initialize(prompt=words, layers=whole_layers, key=st.none() | KEYS)
    def create(self, prompt: str, layers: dict[str, Any], key: str | None) -> None:
        if key:
            layers.setdefault("tts", {})["api_key"] = key
        self.pal.create({"system_prompt": f"Count. {prompt}", "default_face_id": STOCK_FACE, "layers": layers})
        assert self.pal.now.secrets == ({TTS_KEY: key} if key else {})

    @alive
    @rule(name=st.sampled_from(TEXTS), text=words)
    def set_a_text(self, name: str, text: str) -> None:
        self.patch(operation("replace", pointer(name), text))

    @alive
    @rule(name=st.sampled_from(LISTS), items=tags)
    def set_a_list(self, name: str, items: list[str]) -> None:
        self.patch(operation("add", pointer(name), items))

    @alive
    @rule(name=st.sampled_from(LISTS), data=st.data())
    def edit_the_middle_of_a_list(self, name: str, data: st.DataObject) -> None:
        length = len(self.document[name])
        steps = []
        for _ in range(data.draw(st.integers(1, 3))):
            op = data.draw(st.sampled_from(["add", "remove", "replace"] if length else ["add"]))
            index = data.draw(st.integers(0, length if op == "add" else length - 1))
            steps.append(operation(op, pointer(name, str(index)), *([] if op == "remove" else ["abc"[length % 3]])))
            length += {"add": 1, "remove": -1, "replace": 0}[op]
        self.patch(*steps)

    @alive
    @rule(name=layer_names, data=st.data())
    def set_a_layer(self, name: str, data: st.DataObject) -> None:
        layer = data.draw(st.fixed_dictionaries({}, optional=LAYERS[name]))
        self.patch(operation("replace", pointer("layers", name), layer))

    @alive
    @rule(name=layer_names, data=st.data())
    def set_or_remove_a_member_of_a_layer(self, name: str, data: st.DataObject) -> None:
        layer = self.document["layers"].get(name)
        member = data.draw(st.sampled_from(sorted(LAYERS[name])))
        if layer and member in layer and data.draw(st.booleans()):
            self.patch(operation("remove", pointer("layers", name, member)))
            return
        steps = [] if layer is not None else [operation("add", pointer("layers", name), {})]
        value = data.draw(LAYERS[name][member])
        self.patch(*steps, operation("add", pointer("layers", name, member), value))

    @alive
    @rule(name=st.sampled_from(sorted(SHAPES)), data=st.data(), is_undone=st.booleans())
    def turn_a_layer_into_other_shapes(self, name: str, data: st.DataObject, is_undone: bool) -> None:
        numbers = [len(self.pal.said)]
        for shape in data.draw(st.lists(st.sampled_from(SHAPES[name]), min_size=1, max_size=3)):
            self.patch(operation("replace", pointer("layers", name), shape))
            numbers.append(len(self.pal.said))
        if is_undone:
            self.go_back(data.draw(st.sampled_from(numbers)))

    @alive
    @rule(name=layer_names)
    def remove_a_layer(self, name: str) -> None:
        self.patch(operation("replace", pointer("layers", name), None))

    @alive
    @rule(place=st.sampled_from(FREE_FORMS), name=names, value=free_values)
    def set_a_free_member(self, place: str, name: str, value: Any) -> None:
        tokens = ("layers", *place.split("/"))
        above = [tokens[:end] for end in range(2, len(tokens) + 1)]
        steps = [operation("add", pointer(*at), {}) for at in above if value_at(self.document, at) is GONE]
        self.patch(*steps, operation("add", pointer(*tokens, name), value))

    @alive
    @rule(place=st.sampled_from(FREE_FORMS), data=st.data())
    def change_free_members_at_any_depth(self, place: str, data: st.DataObject) -> None:
        """Removed, replaced, copied, moved; several at once."""
        above = ("layers", *place.split("/"))
        document, steps = self.document, []
        for _ in range(data.draw(st.integers(1, 3))):
            form = value_at(document, above)
            if form is GONE or not form:
                break
            at = (*above, *data.draw(st.sampled_from(sorted(members(form).keys() - {()}))))
            op = data.draw(st.sampled_from(["remove", "replace", "copy", "move"]))
            target = (*above, data.draw(names))
            if op in ("copy", "move"):
                if target[: len(at)] == at:
                    continue
                steps.append({"op": op, "from": pointer(*at), "path": pointer(*target)})
            else:
                steps.append(operation(op, pointer(*at), *([data.draw(free_values)] if op == "replace" else [])))
            document = apply_patch(document, copy.deepcopy(steps[-1:])).document
        self.patch(*steps)

    @alive
    @rule(texts=st.dictionaries(st.sampled_from(TEXTS), words, max_size=2), hotwords=words | st.none())
    def merge(self, texts: dict[str, Any], hotwords: str | None) -> None:
        body = {**texts, "layers": {"stt": {"hotwords": hotwords}}}
        self.pal.take(self.pal.call("patchPal", body, is_merge_patch=True), 304)

    @alive
    @rule()
    def change_nothing(self) -> None:
        steps = [operation("replace", pointer(name), self.document[name]) for name in (*TEXTS, *LISTS, "layers")]
        assert not self.patch(*steps)
        assert not self.patch(operation("add", "/memories/0", "x"), operation("remove", "/memories/0"))

    @alive
    @rule(count=st.integers(5, 20))
    def change_often(self, count: int) -> None:
        """So that histories reach over several whole documents."""
        for index in range(count):
            text = f"Line {len(self.pal.said)}-{index}"
            assert self.pal.take(self.pal.call("patchPal", [operation("add", "/context", text)]))

    @alive
    @rule(data=st.data(), text=words)
    def change_what_was_read_earlier(self, data: st.DataObject, text: str) -> None:
        """With `If-Match`: refused where anything differs by now, and told what."""
        now, steps = self.pal.now, [operation("replace", "/greeting", text)]
        read = data.draw(st.sampled_from(self.pal.said))
        answer = self.pal.call("patchPal", steps, if_match=f'"{read.etag}"')
        if read.is_like(now) or text == now.document["greeting"]:
            self.pal.take(answer, 304)
            return
        assert not self.pal.take(answer, 412)
        assert answer.headers["etag"] == f'"{now.etag}"'
        named = {parse_pointer(detail["pointer"]): detail["revision"] for detail in answer.body["details"]}
        assert all(differs(read, now, place) for place in named)
        for place in differing(read.content, now.content):
            assert any(place[: len(tokens)] == tokens for tokens in named)
        last_read = max(number for number, said in enumerate(self.pal.said, start=1) if said.etag == read.etag)
        assert all(last_read < number <= len(self.pal.said) for number in named.values())

    # --- Secrets and names --------------------------------------------------------------------------------------------

    @alive
    @rule(url=URLS, key=KEYS)
    def set_a_key_for_an_address(self, url: str, key: str) -> None:
        before = self.pal.now.secrets
        steps = [] if "llm" in self.document["layers"] else [operation("add", "/layers/llm", {})]
        self.patch(*steps, operation("add", "/layers/llm/base_url", url), operation("add", LLM_KEY, key))
        assert self.pal.now.secrets == {**before, LLM_KEY: key}

    @alive
    @rule(place=st.sampled_from([LLM_KEY, TTS_KEY]), key=KEYS)
    def set_another_key(self, place: str, key: str) -> None:
        """The same one sent again changes nothing."""
        before = self.pal.now.secrets
        if place in before:
            assert self.patch(operation("replace", place, key)) == (before[place] != key)
        elif place == TTS_KEY and "tts" in self.document["layers"]:
            assert self.patch(operation("add", place, key))
        else:
            return
        assert self.pal.now.secrets == {**before, place: key}

    @alive
    @rule(url=URLS)
    def change_the_address_alone(self, url: str) -> None:
        """Refused: the key would go to an address that it was not given for."""
        if LLM_KEY in self.pal.now.secrets:
            assert not self.patch(operation("replace", "/layers/llm/base_url", url), allowed=(400,))

    @alive
    @rule()
    def remove_the_keys(self) -> None:
        steps = []
        if LLM_KEY in self.pal.now.secrets:
            steps += [operation("remove", LLM_KEY), operation("remove", "/layers/llm/base_url")]
        if TTS_KEY in self.pal.now.secrets:
            steps += [operation("replace", TTS_KEY, "")]
        self.patch(*steps)
        assert self.pal.now.secrets == {}

    @alive
    @rule(suffix=st.sampled_from(["a", "b", None]))
    def take_a_name_for_meetings(self, suffix: str | None) -> None:
        conferencing = {"username": f"{self.pal.id}-{suffix}"} if suffix else None
        self.patch(operation("replace", "/layers/conferencing", conferencing))

    # --- Undoing ------------------------------------------------------------------------------------------------------

    @rule(data=st.data(), is_guarded=st.booleans())
    def roll_back(self, data: st.DataObject, is_guarded: bool) -> None:
        self.go_back(data.draw(st.integers(1, len(self.pal.said))), is_guarded=is_guarded)

    def go_back(self, to: int, *, is_guarded: bool = False) -> None:
        """The document of that revision exactly, with its secrets."""
        target, before = self.pal.said[to - 1], self.pal.now
        guard = {"if_match": f'"{before.etag}"'} if is_guarded else {}
        answer = self.pal.call("rollbackPal", {"to": to, "comment": "back"}, **guard)
        if self.pal.deleted:
            assert answer.status == 400
            self.pal.check_unchanged()
            return
        assert self.pal.take(answer, 304) == (not before.is_like(target))
        assert self.pal.now.is_like(target)
        assert self.pal.now.secrets == target.secrets

    @rule(data=st.data())
    def revert_any(self, data: st.DataObject) -> None:
        self.revert(data.draw(st.integers(1, len(self.pal.said))))

    @rule(back=st.integers(0, 4))
    def revert_a_recent_one(self, back: int) -> None:
        self.revert(max(len(self.pal.said) - back, 1))

    def revert(self, number: int) -> None:
        """Either exactly that change is gone, or nothing happens as it was, or the answer says what is in the way."""
        answer = self.pal.call("revertPalRevision", None, number)
        if self.pal.deleted or number == 1:
            assert answer.status == 400
            self.pal.check_unchanged()
            return
        older, state, before = self.pal.said[number - 2], self.pal.said[number - 1], self.pal.now
        if not self.pal.take(answer, 304, 400, 409):
            self.check_refusal(answer, older, state)
            return
        now = self.pal.now
        if before is state:
            assert now.is_like(older)
            assert now.secrets == older.secrets
        taken_back = differing(older.content, state.content)
        was, said, then = members(before.content), members(now.content), members(older.content)
        for place in was.keys() | said.keys() | then.keys():
            source = then if place in taken_back else was
            assert same(said.get(place, GONE), source.get(place, GONE)), place
        for place in (LLM_KEY, TTS_KEY):
            is_taken_back = older.refs.get(place) != state.refs.get(place)
            source = older if is_taken_back else before
            assert now.secrets.get(place) == source.secrets.get(place)

    def check_refusal(self, answer: Answered, older: Said, state: Said) -> None:
        now = self.pal.now
        if answer.status == 304:  # It is taken back already.
            places = differing(older.content, state.content) | {parse_pointer(LLM_KEY), parse_pointer(TTS_KEY)}
            changed = [place for place in places if differs(older, state, place)]
            assert not any(differs(older, now, place) for place in changed)
            return
        assert now is not state, "the newest change can always be taken back"
        assert answer.body["details"]
        for detail in answer.body["details"]:
            if answer.status == 409:
                assert detail["code"] == "moved_since"
                place = parse_pointer(detail["pointer"])
                assert differs(state, now, place) or type(value_at(now.content, place[:-1])) is not dict
            assert detail["problem"]

    @rule()
    def delete_or_restore(self) -> None:
        before = self.pal.now
        if self.pal.deleted:
            self.pal.deleted = False
            assert self.pal.take(self.pal.call("restorePal"))
        else:
            assert self.pal.call("deletePal").status == 204
            self.pal.deleted = True
            self.pal.learn()
        assert self.pal.now.is_like(before)
        assert (self.pal.now.etag, self.pal.now.secrets) == (before.etag, before.secrets)
