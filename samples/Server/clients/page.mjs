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

/** Whether sixteen continuations were seen together: on a busy machine they may have ended before they are drawn. */
async function continued(page) {
  await page.getByRole("button", { name: "Continue" }).waitFor({ timeout: 60_000 });
  await page.locator("#text").fill(" One day,");
  await page.getByRole("button", { name: "Continue" }).click();
  const drawn = page.waitForFunction(
    () => document.querySelector("#sequences").children.length > 11 && / [1-9]\d* shared/.test(document.querySelector("#total").textContent) && Number(document.querySelector("#running").textContent) > 8,
    null, { timeout: 15_000 });
  return drawn.then(() => true, () => false);
}

/** A story, then sixteen continuations of it: they share the pages that the story is on. */
async function story(page, picture) {
  await page.getByText("This model continues texts").waitFor();
  const before = await colours(page);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator("#log .answer").first().waitFor();
  const early = (await page.locator("#log .answer").first().textContent()).length;
  await page.getByRole("button", { name: "Continue" }).waitFor({ timeout: 60_000 });
  assert.ok((await page.locator("#log .answer").first().textContent()).length > early, "the text comes piece by piece");
  await page.locator("#count").selectOption("16");
  for (let attempt = 1; !(await continued(page)); attempt++) assert.ok(attempt < 5, "the sixteen are drawn");
  assert.ok(await colours(page) > before + 5, "sequences have colours of their own");
  assert.match(await page.locator("#grid").getAttribute("aria-label"), /sequences hold \d+ pages/);
  if (picture) await page.screenshot({ path: join(pictures, picture) });
  await page.getByRole("button", { name: "Stop" }).click();
  await page.waitForFunction(() => document.querySelector("#sequences").children.length === 0, null, { timeout: 60_000 });
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
  await chat.getByLabel("Your text").fill("Tell me a story.");
  await chat.keyboard.press("Enter");
  await chat.locator("#log .answer").first().waitFor();
  await chat.getByRole("button", { name: "Send" }).waitFor({ timeout: 60_000 });
  assert.equal(await chat.locator("#log .wrong").count(), 0, "nothing went wrong");
  assert.deepEqual(problems, []);
  console.log("page: streams, draws pages, fits a narrow window, asks for a key");
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}
