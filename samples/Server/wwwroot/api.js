// What the page asks the server. Where the server wants a key, the page asks for one and tries again.

const keyForm = document.querySelector("#key");
const keyInput = document.querySelector("#key-input");
let waiting = null;

function waitForKey() {
  keyForm.hidden = false;
  waiting ??= new Promise(resolve => keyForm.addEventListener("submit", event => {
    event.preventDefault();
    sessionStorage.setItem("key", keyInput.value);
    keyForm.hidden = true;
    waiting = null;
    resolve();
  }, { once: true }));
  return waiting;
}

export async function request(path, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem("key");
    const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    const response = await fetch(path, { ...options, headers });
    if (response.status === 401) {
      await waitForKey();
      continue;
    }
    if (response.ok) return response;
    const body = await response.json().catch(() => null);
    throw new Error(body?.error?.message ?? `The server answered with the status ${response.status}.`);
  }
}

/** Posts a request and yields the events of its answer. */
export async function* stream(path, body, signal) {
  const response = await request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...body, stream: true }), signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = event.split("\n").filter(line => line.startsWith("data: ")).map(line => line.slice(6)).join("\n");
      if (data === "[DONE]") return;
      const parsed = JSON.parse(data);
      if (parsed.error) throw new Error(parsed.error.message);
      yield parsed;
    }
  }
}
