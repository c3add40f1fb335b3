// Many messages: none is lost, the document stays small, and scrolling shows all of them.

import assert from "node:assert/strict";
import { enter, inBrowser, member, serve } from "./support.mjs";

const RATE = 50;
const COUNT = 500;
const OLD = Number(process.env.OLD ?? 10_000);

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const nodes = (page) => page.$$eval("#log li", (all) => all.length);

await inBrowser(async (browser) => {
  const limits = [
    "--message-rate",
    "0",
    "--history-messages",
    "20000",
    "--history-bytes",
    "50000000",
    "--memory-limit",
    "50000000",
  ];
  const server = await serve("SERVER", ["--no-binder", ...limits]);
  const ana = await enter(browser, server, "ana", "lobby");
  const bob = await member(server, "bob", "lobby");

  const begin = Date.now();
  const sent = [];
  for (let number = 1; number <= COUNT; number += 1) {
    await wait(Math.max(0, begin + (number * 1000) / RATE - Date.now()));
    sent.push(bob(`live ${number}`));
  }
  await Promise.all(sent);
  await ana.waitForSelector(`text="live ${COUNT}"`);
  assert.ok((await nodes(ana)) <= 400);
  const heard = await ana.$$eval("#log .text", (all) => all.map((element) => element.textContent));
  const numbers = heard.map((text) => Number(text.split(" ")[1]));
  assert.deepEqual(
    [...numbers].sort((one, other) => one - other),
    numbers.map((_, at) => COUNT - numbers.length + 1 + at),
    "each once",
  );

  // As fast as they come, and then scrolled through from the newest to the oldest and back.
  for (let number = 0; number < OLD; number += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, at) => bob(`old ${number + at} ${"some words ".repeat(at % 20)}`)));
  }
  await bob("the last one");
  await ana.waitForSelector('text="the last one"');
  assert.ok((await nodes(ana)) <= 400);
  const scrolled = await ana.evaluate(
    async (all) => {
      const log = document.getElementById("log");
      const seen = new Set();
      const result = { steps: 0, largest: 0, longest: 0 };
      const begin = performance.now();
      while (seen.size < all && performance.now() - begin < 60_000) {
        const start = performance.now();
        log.scrollTop -= 8 * log.clientHeight;
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        const texts = Array.from(log.querySelectorAll(".text"), (text) => text.textContent.split(" ", 2).join(" "));
        for (const text of texts) {
          seen.add(text);
        }
        result.steps += 1;
        result.largest = Math.max(result.largest, texts.length);
        result.longest = Math.max(result.longest, performance.now() - start);
      }
      return { ...result, seen: seen.size, time: performance.now() - begin };
    },
    OLD + COUNT + 1,
  );
  console.log(scrolled);
  assert.equal(scrolled.seen, OLD + COUNT + 1);
  assert.ok(scrolled.largest <= 400, `${scrolled.largest} in the document`);
  // Whoever reads is not moved by what comes.
  await ana.evaluate(() => document.getElementById("log").scrollBy(0, 300));
  const place = () => ana.$$eval("#log .text", ([first]) => [first.textContent, Math.round(first.getBoundingClientRect().top)]);
  const before = await place();
  await bob("news");
  await ana.waitForSelector("#jump >> text=1 new message");
  assert.deepEqual(await place(), before);
  await ana.click("#jump");
  await ana.waitForSelector('text="news"');
  assert.ok((await nodes(ana)) <= 400);
});
