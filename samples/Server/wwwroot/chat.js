import { request, stream } from "./api.js";

// The conversation. Models with a chat template are asked in turns; others continue one text.

const log = document.querySelector("#log");
const composer = document.querySelector("#composer");
const text = document.querySelector("#text");
const send = document.querySelector("#send");
const clear = document.querySelector("#clear");
const count = document.querySelector("#count");

let model = null;
let history = []; // messages of a chat
let written = ""; // what a model without turns continues
let running = null; // aborts the answer that is being generated

function add(kind, content = "") {
  const paragraph = document.createElement("p");
  paragraph.className = kind;
  paragraph.textContent = content;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(paragraph);
  if (atEnd) log.scrollTop = log.scrollHeight;
  return paragraph;
}

function append(paragraph, piece) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  paragraph.append(piece);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function begin() {
  history = [];
  written = "";
  log.replaceChildren();
  add("note", model.is_chat_model ? "Ask something." : "This model continues texts. Begin one.");
  text.value = model.is_chat_model ? "" : "Once upon a time";
}

/** Paragraphs for several answers, made as they are needed. */
function answers(kind) {
  const made = new Map();
  return index => {
    if (!made.has(index)) made.set(index, add(kind));
    return made.get(index);
  };
}

async function chat(prompt, choices, signal) {
  const turns = history;
  turns.push({ role: "user", content: prompt });
  add("user", prompt);
  const thoughts = answers("thought"), texts = answers("answer");
  let said = "";
  try {
    for await (const chunk of stream("v1/chat/completions", { model: model.id, messages: turns, n: choices }, signal)) {
      for (const { index, delta } of chunk.choices) {
        if (delta.reasoning_content) append(thoughts(index), delta.reasoning_content);
        if (delta.content) append(texts(index), delta.content);
        if (index === 0) said += delta.content ?? "";
      }
    }
  } finally {
    // What was stopped counts as said; a question without an answer was not asked, since many templates want turns.
    if (said) turns.push({ role: "assistant", content: said });
    else turns.pop();
  }
}

async function complete(prompt, choices, signal) {
  written += prompt;
  add("user continued", prompt);
  const texts = answers("answer");
  const before = written;
  let said = "";
  try {
    for await (const chunk of stream("v1/completions", { model: model.id, prompt: before, n: choices, max_tokens: 160 }, signal)) {
      for (const choice of chunk.choices) {
        append(texts(choice.index), choice.text);
        if (choice.index === 0) said += choice.text;
      }
    }
  } finally {
    if (written === before) written += said; // unless all began anew
  }
}

async function answer() {
  const prompt = text.value;
  text.value = "";
  running = new AbortController();
  send.textContent = "Stop";
  text.required = false;
  try {
    await (model.is_chat_model ? chat : complete)(prompt, Number(count.value), running.signal);
  } catch (error) {
    if (error.name !== "AbortError") add("wrong", error.message);
  } finally {
    running = null;
    send.textContent = model.is_chat_model ? "Send" : "Continue";
    text.required = model.is_chat_model;
    text.focus();
  }
}

composer.addEventListener("submit", event => {
  event.preventDefault();
  if (running) running.abort();
  else if (model) answer();
});

text.addEventListener("keydown", event => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
});

clear.addEventListener("click", () => {
  running?.abort();
  begin();
});

try {
  [model] = (await (await request("v1/models")).json()).data;
  document.querySelector("#model").textContent = `${model.id} · ${model.architecture}, ${model.context_length} tokens of context, on ${model.device}`;
  document.querySelector("#chat-title").textContent = model.is_chat_model ? "Chat" : "Story";
  send.textContent = model.is_chat_model ? "Send" : "Continue";
  begin();
} catch (error) {
  add("wrong", error.message);
}
