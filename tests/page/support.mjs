// What the scripts share: programs on ports that the system chooses, a browser, and people in it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

// Long enough for a busy machine, and only ever used up by a failure.
export const TIMEOUT = 30_000;

const running = new Set();
const directories = [];

/** Starts a program and collects the lines of its standard output. */
export function start(name, args = [], environment = {}) {
  const child = spawn(process.env[name], args, { env: { ...process.env, ...environment } });
  running.add(child);
  const program = { child, lines: [] };
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream.setEncoding("utf8").on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      program.lines.push(...lines);
    });
  }
  program.ended = new Promise((resolve) => {
    child.on("exit", () => {
      running.delete(child);
      resolve();
    });
  });
  program.line = (text) => {
    const found = () => program.lines.find((line) => line.includes(text));
    return eventually(() => `the line "${text}" among\n${program.lines.join("\n")}`, found);
  };
  program.type = (text) => child.stdin.write(`${text}\n`);
  program.kill = () => {
    child.kill("SIGKILL");
    return program.ended;
  };
  return program;
}

/** Starts a program that listens, and waits until it does. */
export async function serve(name, args = [], address = "127.0.0.1:0") {
  const program = start(name, ["--listen", address, ...args]);
  program.address = (await program.line(" listening on ")).split(" listening on ")[1].trim();
  return program;
}

/** A directory that is gone at the end. */
export function directory() {
  directories.push(mkdtempSync(join(tmpdir(), "chat-page-")));
  return directories.at(-1);
}

export async function eventually(what, condition) {
  const end = Date.now() + TIMEOUT;
  for (;;) {
    const result = await condition();
    if (result) {
      return result;
    }
    assert.ok(Date.now() < end, `not within ${TIMEOUT} ms: ${what instanceof Function ? what() : what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const SWITCHES = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Runs `test(browser)`, and ends everything whatever comes of it. A page that complains of anything fails it. */
export async function inBrowser(test) {
  let browser;
  try {
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: SWITCHES });
    await test(browser);
    assert.deepEqual(complaints, []);
  } finally {
    await browser?.close();
    for (const child of running) {
      child.kill("SIGKILL");
    }
    for (const path of directories) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

const complaints = [];

/** A new browser window with nothing kept. What the network does to it, which a test may be about, is no complaint. */
export async function window(browser, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", viewport: { width: 800, height: 640 }, ...options });
  context.setDefaultTimeout(TIMEOUT);
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("console", (message) => {
    const isNetwork = /Failed to load resource|net::ERR_/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !isNetwork) {
      complaints.push(message.text());
    }
  });
  page.on("dialog", (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const isOwn = request.isNavigationRequest() || new URL(request.url()).origin === new URL(page.url()).origin;
    if (!isOwn) {
      complaints.push(`a request to ${request.url()}`);
    }
  });
  return page;
}

/** Somebody who has entered a room by the page, which makes the room if there is none. */
export async function enter(browser, server, name, room, options) {
  const page = await window(browser, options);
  await page.goto(`http://${server.address}/`);
  await page.fill("#name", name);
  await page.fill("#new-room", room);
  await page.press("#new-room", "Enter");
  await page.waitForSelector("#room:not([hidden])");
  return page;
}

export async function say(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

/** The texts of all messages in the document, what is on its way included. */
export const texts = (page) => page.$$eval("#log .text", (all) => all.map((element) => element.textContent));

/** Waits until a text was said there, once. */
export async function hears(page, text) {
  await eventually(`"${text}" on the page`, async () => (await texts(page)).includes(text));
  assert.equal((await texts(page)).filter((other) => other === text).length, 1, text);
}

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;" };

/** Calls a procedure of strings, as any program may, and returns what the server says. */
export async function call(server, method, ...params) {
  const written = (param) => (typeof param === "number" ? `<int>${param}</int>` : param.replace(/[&<>\r]/g, (c) => ESCAPES[c]));
  const values = params.map((param) => `<param><value>${written(param)}</value></param>`);
  const response = await fetch(`http://${server.address}/RPC2`, {
    method: "POST",
    headers: { "Content-Type": "text/xml" },
    body: `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${values.join("")}</params></methodCall>`,
  });
  const text = await response.text();
  assert.ok(response.ok && !text.includes("<fault>"), `${method}: ${text}`);
  return text;
}

/** Somebody in a room without a page or a program of ours, whom anybody could act as. */
export async function member(server, name, room, isNew = false) {
  await call(server, "register_user", name);
  if (isNew) {
    await call(server, "create_room", room);
  }
  await call(server, "join_room", name, room);
  return (text, to = "", key = "") => call(server, "send_message", name, room, text, to, key);
}

/** Reads a document from standard input: what the test hands to its script. */
export async function input() {
  let text = "";
  for await (const part of process.stdin.setEncoding("utf8")) {
    text += part;
    if (text.endsWith("\n")) {
      break;
    }
  }
  return JSON.parse(text);
}
