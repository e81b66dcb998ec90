"use strict";

// A conversation in writing. Whatever comes from elsewhere is only ever text: nothing here makes markup of it.

const SLOWEST_RETRY_MS = 8000;
const UNCONFIRMED_MS = 2000;
const LONGEST_THOUGHT_MS = 20000; // A turn may end without a word, which nobody tells.
const COMPOSING = 229; // What Safari says of the Enter that ends the composition of a word.
const ENDED = 1000;
const { root, conversation } = document.body.dataset;
const token = new URLSearchParams(location.search).get("t") || "";
const $ = (id) => document.getElementById(id);

const page = {
  socket: null,
  after: 0, // The number of the newest message that is shown.
  retries: 0,
  isOver: false,
  name: "The PAL",
  bubbles: new Map(), // What is being said, by its inference_id.
  unconfirmed: [], // What was sent and has not come back yet.
  thinking: 0, // The timer that stops the PAL's dots.
};

// --- Who takes part ----------------------------------------------------------------------------------------------

function participant() {
  const key = `palace.participant.${conversation}`;
  const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
  try {
    const known = sessionStorage.getItem(key) || `p-${random()}`;
    sessionStorage.setItem(key, known);
    return known;
  } catch {
    return (page.participant ||= `p-${random()}`); // A page inside another one may keep nothing.
  }
}

function query(more) {
  return new URLSearchParams({ ...(token && { t: token }), participant: participant(), ...more }).toString();
}

async function askAbout() {
  const answer = await fetch(`${root}/c/${conversation}/about?${query()}`, { cache: "no-store" });
  return { status: answer.status, said: await answer.json() };
}

function introduce(said) {
  page.name = said.pal_name || page.name;
  $("name").textContent = page.name;
  document.title = page.name;
  const portrait = $("portrait");
  portrait.textContent = [...page.name][0] || "";
  if (said.thumbnail_url) {
    const image = new Image();
    image.alt = "";
    image.addEventListener("load", () => portrait.replaceChildren(image));
    image.src = said.thumbnail_url;
  }
}

// --- The line ----------------------------------------------------------------------------------------------------

function tell(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

function open() {
  const address = new URL(`${root}/c/${conversation}/ws?${query({ after: page.after })}`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  page.socket = socket;
  socket.addEventListener("open", () => {
    page.retries = 0;
    tell("Connected");
    allow(true);
    setTimeout(giveBack, UNCONFIRMED_MS);
  });
  socket.addEventListener("message", (event) => show(JSON.parse(event.data)));
  socket.addEventListener("close", (event) => lost(socket, event));
}

async function lost(socket, event) {
  if (page.socket !== socket) return;
  page.socket = null;
  allow(false);
  if (event.code === ENDED) return end();
  tell("Connection lost. Reconnecting …");
  const wait = Math.min(SLOWEST_RETRY_MS, 300 * 2 ** page.retries++) * (0.5 + Math.random() / 2);
  await new Promise((done) => {
    setTimeout(done, wait);
    addEventListener("online", done, { once: true });
  });
  await begin();
}

async function begin() {
  try {
    const { status, said } = await askAbout();
    if (status === 200) introduce(said);
    else if (status === 403 || status === 404) return refuse(said.message);
  } catch {
    /* Nobody answers: the line is tried all the same, and tells when it cannot be had. */
  }
  open();
}

function allow(isOpen) {
  const may = isOpen && !page.isOver;
  const text = $("text");
  const wasEnabled = !text.disabled;
  text.disabled = $("send").disabled = !may;
  if (may && !wasEnabled && matchMedia("(hover: hover)").matches) text.focus({ preventScroll: true });
  if (!may) $("stop").hidden = true;
}

function end() {
  page.isOver = true;
  think(false);
  allow(false);
  tell("The conversation has ended");
  $("text").placeholder = "The conversation has ended";
}

function refuse(why) {
  end();
  tell(why);
  add("notice", why);
}

// --- What happens ------------------------------------------------------------------------------------------------

function show(message) {
  const properties = message.properties || {};
  // Every message of the PAL comes in two vocabularies; this page reads the newer one.
  if (properties.role === "replica" || /^conversation\.(replica|user)\./.test(message.event_type)) return;
  if (message.seq !== undefined) {
    if (message.seq <= page.after) return;
    page.after = message.seq;
  }
  const showing = SHOWN[message.event_type];
  if (showing) showing(message, properties);
}

const SHOWN = {
  "conversation.utterance"(message, said) {
    if (said.role === "user") {
      confirm(said.speech);
      add("user", said.speech);
      think(true);
      return;
    }
    const bubble = speak(message.inference_id, said.speech);
    bubble.classList.toggle("interrupted", Boolean(said.interrupted));
    $("live").textContent = `${page.name}: ${said.speech}`;
    $("stop").hidden = true;
  },
  "conversation.utterance.streaming"(message, said) {
    const bubble = speak(message.inference_id, said.speech);
    bubble.classList.toggle("interrupted", Boolean(said.is_interrupted));
    $("stop").hidden = said.final || page.isOver;
  },
  "conversation.tool_call"(message, call) {
    add("detail", `calls ${call.name}(${call.arguments || ""})`);
  },
  "conversation.perception_tool_call"(message, call) {
    const given = typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments);
    add("detail", `calls ${call.name}(${given})`);
  },
  "conversation.objective.activated": (message, said) => add("detail", `works towards ${said.objective_name}`),
  "conversation.objective.pending": (message, said) => add("detail", `waits for ${said.objective_name} to be confirmed`),
  "conversation.objective.completed": (message, said) => add("detail", `has reached ${said.objective_name}`),
  "conversation.guardrail.triggered": (message, said) => add("detail", `keeps to ${said.guardrail}`),
  "conversation.model_unavailable"() {
    think(false);
    add("notice", `${page.name} cannot think just now: the language model does not answer. Try again in a moment.`);
  },
  "system.error": (message, said) => add("notice", said.problem),
  "system.shutdown"() {
    end();
    add("notice", "The conversation has ended.");
  },
};

function speak(id, speech) {
  think(false);
  let bubble = id && page.bubbles.get(id);
  if (!bubble) {
    bubble = add("pal", "");
    if (id) page.bubbles.set(id, bubble);
  }
  const wasAtEnd = isAtEnd();
  if (bubble.textContent !== speech) bubble.textContent = speech;
  if (wasAtEnd) toEnd();
  return bubble;
}

function add(kind, text) {
  if (kind === "notice") $("live").textContent = text;
  const wasAtEnd = isAtEnd();
  const item = document.createElement("li");
  item.className = kind;
  item.textContent = text;
  $("log").append(item);
  if (wasAtEnd || kind === "user") toEnd();
  return item;
}

function think(isThinking) {
  const wasAtEnd = isAtEnd();
  clearTimeout(page.thinking);
  if (isThinking) page.thinking = setTimeout(think, LONGEST_THOUGHT_MS, false);
  $("thinking").hidden = !isThinking || page.isOver;
  $("thinking").lastElementChild.textContent = isThinking ? `${page.name} is thinking` : "";
  if (wasAtEnd) toEnd();
}

function isAtEnd() {
  const scroll = $("scroll");
  return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
}

function toEnd() {
  $("scroll").scrollTop = $("scroll").scrollHeight;
}

// --- What the person does ----------------------------------------------------------------------------------------

function send(event_type, properties) {
  const message = { message_type: "conversation", event_type, conversation_id: conversation, properties };
  page.socket.send(JSON.stringify(message));
}

function confirm(speech) {
  const at = page.unconfirmed.findIndex((one) => one.text === speech);
  if (at >= 0) page.unconfirmed.splice(at, 1)[0].item.remove();
}

// What was on its way when the line broke comes back to where it was written, so that nobody writes it twice.
function giveBack() {
  const lost = page.unconfirmed.filter((one) => one.socket !== page.socket);
  if (!lost.length) return;
  page.unconfirmed = page.unconfirmed.filter((one) => one.socket === page.socket);
  for (const { item } of lost) item.remove();
  $("text").value = [...lost.map((one) => one.text), $("text").value].filter(Boolean).join("\n");
  fit();
}

function fit() {
  const text = $("text");
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || page.socket?.readyState !== WebSocket.OPEN || page.isOver) return;
  page.unconfirmed.push({ text, item: add("user waiting", text), socket: page.socket });
  toEnd();
  send("conversation.respond", { text });
  $("text").value = "";
  fit();
});

$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === COMPOSING) return;
  event.preventDefault();
  $("form").requestSubmit();
});

$("text").addEventListener("input", fit);

$("stop").addEventListener("click", () => {
  if (page.socket?.readyState === WebSocket.OPEN) send("conversation.interrupt", {});
  $("text").focus();
});

$("details").addEventListener("click", () => {
  const isShown = $("log").classList.toggle("detailed");
  $("details").setAttribute("aria-pressed", String(isShown));
});

begin();
