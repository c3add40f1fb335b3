// Two pages and a terminal talk.

import assert from "node:assert/strict";
import { directory, enter, eventually, hears, inBrowser, say, serve, start, texts, window } from "./support.mjs";

await inBrowser(async (browser) => {
  const server = await serve("SERVER", ["--no-binder"]);
  const ana = await enter(browser, server, "ana", "lobby");
  const joao = await enter(browser, server, "joão", "lobby", { locale: "pt-BR" });
  const bob = start("CLIENT", ["--server", server.address, "--user", "bob", "--room", "lobby", "--plain"], {
    LC_ALL: "C.UTF-8",
    XDG_STATE_HOME: directory(),
  });
  await bob.line("Joined lobby");

  // Everybody sees who comes.
  await ana.waitForSelector(".note >> text=joão and bob joined");
  await joao.waitForSelector(".note >> text=bob entrou");
  await eventually("three are listed", async () => (await ana.$$("#members li")).length === 3);

  await say(ana, "hello all");
  await hears(joao, "hello all");
  await bob.line("hello all");
  bob.type("from the terminal");
  await hears(ana, "from the terminal");
  await hears(joao, "from the terminal");
  await ana.waitForSelector('.mine .state[aria-label="sent"]');
  await hears(ana, "hello all");

  // What is private is seen by two, whichever way it was written.
  await say(ana, "@joão only for you");
  await hears(joao, "only for you");
  await joao.waitForSelector(".private .whom >> text=particular");
  await joao.click(".private .name >> nth=0");
  assert.equal(await joao.inputValue("#text"), "@ana ");
  await joao.type("#text", "my lips are sealed");
  await joao.waitForSelector("#hint >> text=Só ana vai ler isto.");
  await joao.press("#text", "Enter");
  await hears(ana, "my lips are sealed");
  bob.type("@ana the terminal can do that too");
  await hears(ana, "the terminal can do that too");
  await say(ana, "@bob yes");
  await bob.line("yes");
  await say(ana, "to all again");
  await bob.line("to all again");
  await hears(joao, "to all again");
  assert.ok(!(await texts(joao)).some((text) => /terminal can|yes/.test(text)));
  assert.ok(!bob.lines.some((line) => /only for you|lips/.test(line)));

  // Somebody who is not there is written to in vain, and the text comes back.
  await say(ana, "@nobody are you there?");
  await ana.waitForSelector(".refused .why >> text=Nobody of this name is in the room.");
  await ana.click(".why button >> text=Edit");
  assert.equal(await ana.inputValue("#text"), "@nobody are you there?");
  assert.equal(await ana.$(".refused"), null);
  await ana.fill("#text", "");

  // Lines, and a link.
  await ana.focus("#text");
  await ana.keyboard.type("one");
  await ana.keyboard.press("Shift+Enter");
  await ana.keyboard.type("two, see https://example.org/a_(b).");
  await ana.keyboard.press("Enter");
  await hears(joao, "one\ntwo, see https://example.org/a_(b).");
  const link = joao.locator(".text a");
  assert.equal(await link.getAttribute("href"), "https://example.org/a_(b)");
  assert.equal(await link.getAttribute("rel"), "noopener noreferrer");

  // A mention is marked, and counted in the title of a window that nobody looks at.
  await ana.evaluate(() => {
    document.hasFocus = () => false;
    dispatchEvent(new Event("blur"));
  });
  await say(joao, "Ana, are you still there?");
  await ana.waitForSelector(".called");
  await eventually("the title counts", async () => (await ana.title()).startsWith("(1) lobby"));
  await ana.waitForSelector(".unread");
  await ana.evaluate(() => {
    document.hasFocus = () => true;
    dispatchEvent(new Event("focus"));
  });
  await eventually("the title is quiet", async () => (await ana.title()) === "lobby · Chat");

  // Who was away finds the line where they left off.
  await ana.waitForTimeout(600);
  await ana.goto("about:blank");
  await say(joao, "said while you were away");
  await say(joao, "and one more");
  await hears(joao, "and one more");
  await ana.goto(`http://${server.address}/#lobby`);
  await hears(ana, "and one more");
  const below = await ana.$eval("#log li:has(.unread) .text", (text) => text.textContent);
  assert.equal(below, "said while you were away");

  // A reload comes back to the same room under the same name, with what was said.
  await ana.waitForTimeout(600);
  await ana.reload();
  await ana.waitForSelector("#room:not([hidden])");
  await hears(ana, "hello all");
  await hears(ana, "only for you");
  await say(ana, "here again");
  await hears(joao, "here again");
  assert.ok(!ana.url().includes(await ana.evaluate(() => new Map(JSON.parse(localStorage["chat-rpc.secrets"])).get("ana"))));

  // Nobody else gets the name, until they have its secret.
  const thief = await window(browser);
  await thief.goto(`http://${server.address}/#lobby`);
  await thief.fill("#name", "ana");
  await thief.press("#name", "Enter");
  await thief.waitForSelector("#trouble >> text=This name belongs to somebody else");
  await ana.click("#settings-open");
  await ana.click("#reveal");
  const secret = await ana.inputValue("#kept-secret");
  await ana.click("#settings button >> text=Close");
  await thief.fill("#secret", secret);
  await thief.click("#rooms button");
  await thief.waitForSelector("#room:not([hidden])");
  await hears(thief, "only for you");

  // At rest a page asks for nothing.
  const asked = [];
  joao.on("request", (request) => asked.push(request.url()));
  await joao.waitForTimeout(1500);
  assert.deepEqual(asked, []);

  // Whoever goes is seen to go.
  await joao.click("#back");
  await joao.waitForSelector("#rooms button >> text=2 pessoas");
  await ana.waitForSelector(".note >> text=joão left");
});
