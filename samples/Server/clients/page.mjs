// The page in a real browser: chats, watches the drawing, takes pictures in light and dark.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const profile = await mkdtemp(join(tmpdir(), "page-"));
const browser = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: flags });
const pictures = process.env.PICTURES;
const problems = [];
browser.setDefaultTimeout(60_000); // a busy machine is slow

async function open(address, { dark = false, width = 1280, height = 800 } = {}) {
  const page = await browser.newPage();
  page.on("pageerror", error => problems.push(error.message));
  page.on("console", message => message.type() === "error" && !message.text().includes("401") && problems.push(message.text()));
  await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
  await page.setViewportSize({ width, height });
  await page.goto(address);
  return page;
}

/** How many different colours the drawing has. */
const colours = page => page.locator("#grid").evaluate(canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(Array.from({ length: data.length / 4 }, (_, index) => `${data[index * 4]},${data[index * 4 + 1]},${data[index * 4 + 2]}`)).size;
});

/** Keeps sixteen stories running until what it returns is called: those that the page asks for may have ended before they are drawn. */
function keepBusy(address) {
  const aborts = new AbortController();
  const prompt = "Once upon a time, there was a girl who lived in a house by the sea. ".repeat(4); // longer than a page
  const body = JSON.stringify({ model: "storyteller", prompt, n: 16, max_tokens: 160 });
  const posts = (async () => {
    while (!aborts.signal.aborted) {
      const answer = await fetch(`${address}/v1/completions`, { method: "POST", headers: { "Content-Type": "application/json" }, body, signal: aborts.signal });
      assert.equal(answer.status, 200, await answer.text());
    }
  })().catch(error => assert.equal(error.name, "AbortError", error.message));
  return async () => {
    aborts.abort();
    await posts;
  };
}

/** A story comes in pieces; then sixteen are drawn, which share the pages that their beginning is on. */
async function story(page, picture) {
  await page.getByText("This model continues texts").waitFor();
  const before = await colours(page);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator("#log .answer").first().waitFor();
  await page.getByRole("button", { name: "Continue" }).waitFor();
  assert.ok(await page.locator("#log .answer").first().evaluate(answer => answer.childNodes.length) > 1, "the text comes piece by piece");

  const rest = keepBusy(process.env.STORIES);
  await page.waitForFunction(
    () => document.querySelector("#sequences").children.length > 11 && / [1-9]\d* shared/.test(document.querySelector("#total").textContent) && Number(document.querySelector("#running").textContent) > 8);
  assert.ok(await colours(page) > before + 5, "sequences have colours of their own");
  assert.match(await page.locator("#grid").getAttribute("aria-label"), /sequences hold \d+ pages/);
  if (picture) await page.screenshot({ path: join(pictures, picture) });
  await rest();
  await page.waitForFunction(() => document.querySelector("#sequences").children.length === 0);
}

/** A question that is stopped before it is answered was not asked: the next one is sent alone. */
async function stopped(page) {
  const path = "**/v1/chat/completions";
  await page.route(path, () => {}); // no answer comes
  await ask(page, "Are you there?");
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("button", { name: "Send" }).waitFor();
  await page.unroute(path);
  const request = page.waitForRequest(path);
  await ask(page, "Tell me a story.");
  assert.deepEqual((await request).postDataJSON().messages, [{ role: "user", content: "Tell me a story." }]);
  await answered(page, 1);
}

/** What was answered is sent with the next question. */
async function remembered(page) {
  const request = page.waitForRequest("**/v1/chat/completions");
  await ask(page, "And then?");
  assert.deepEqual((await request).postDataJSON().messages.map(message => message.role), ["user", "assistant", "user"]);
  await answered(page, 2);
}

async function ask(page, question) {
  await page.getByLabel("Your text").fill(question);
  await page.keyboard.press("Enter");
}

async function answered(page, answers) {
  await page.locator("#log .answer").nth(answers - 1).waitFor();
  await page.getByRole("button", { name: "Send" }).waitFor();
}

try {
  await story(await open(process.env.STORIES), pictures && "server-light.png");
  await story(await open(process.env.STORIES, { dark: true }), pictures && "server-dark.png");

  const narrow = await open(process.env.STORIES, { width: 400, height: 800 });
  await narrow.getByText("This model continues texts").waitFor();
  assert.equal(await narrow.evaluate(() => document.documentElement.scrollWidth), 400, "nothing is wider than a narrow window");
  if (pictures && process.env.ALL_PICTURES) await narrow.screenshot({ path: join(pictures, "server-narrow.png") });

  const chat = await open(process.env.SERVER);
  await chat.getByLabel("This server asks for an API key").fill(process.env.KEY);
  await chat.getByRole("button", { name: "Use it" }).click();
  await chat.getByText("Ask something.").waitFor();
  await stopped(chat);
  await remembered(chat);
  assert.equal(await chat.locator("#log .wrong").count(), 0, "nothing went wrong");
  assert.deepEqual(problems, []);
  console.log("page: streams, draws pages, fits a narrow window, asks for a key, stops and remembers");
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}
