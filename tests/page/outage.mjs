// What is typed while the server, the network or an answer is gone comes once, and so does what others say.

import assert from "node:assert/strict";
import { directory, enter, eventually, hears, inBrowser, member, say, serve, texts } from "./support.mjs";

/** Lets the server have the next message, but not the page its answer. */
async function loseAnswer(page) {
  let isChosen = false;
  let isLost = false;
  await page.route("**/RPC2", async (route) => {
    if (isChosen || !route.request().postData().includes("send_message")) {
      return route.continue();
    }
    isChosen = true;
    await route.fetch();
    await route.abort();
    isLost = true;
  });
  return async () => {
    await eventually("an answer was lost", () => isLost);
    await page.unroute("**/RPC2");
  };
}

await inBrowser(async (browser) => {
  const options = ["--no-binder", "--data", directory()];
  let server = await serve("SERVER", options);
  const ana = await enter(browser, server, "ana", "lobby");
  const joao = await enter(browser, server, "joão", "lobby");
  await say(ana, "before");
  await hears(joao, "before");

  const answer = await loseAnswer(ana);
  await say(ana, "whose answer is lost");
  await answer();
  await say(ana, "after that");
  await hears(joao, "after that");
  await hears(joao, "whose answer is lost");
  await hears(ana, "whose answer is lost");
  await ana.waitForSelector("#log ol:last-child:empty", { state: "attached" });

  // A server that is killed and comes back.
  await server.kill();
  await ana.waitForSelector("#outage >> text=Connection lost.");
  assert.equal(await ana.locator("#outage").count(), 1);
  await say(ana, "typed meanwhile");
  await say(ana, "and this");
  await ana.waitForSelector('.waiting .state[aria-label="on its way"]');
  server = await serve("SERVER", options, server.address);
  for (const page of [ana, joao]) {
    await page.waitForSelector("#outage", { state: "hidden" });
    await hears(page, "typed meanwhile");
    await hears(page, "and this");
    await page.waitForSelector(".note >> text=Reconnected at");
    assert.equal(await page.locator(".note >> text=lost its memory").count(), 0);
  }
  assert.ok(!(await ana.$(".waiting")));
  await hears(ana, "before");

  // A phone that slept: no network for a while, and others talk.
  await ana.context().setOffline(true);
  await ana.evaluate(() => dispatchEvent(new Event("offline")));
  const bob = await member(server, "bob", "lobby");
  await bob("first");
  await bob("second", "ana");
  await bob("third");
  await say(ana, "typed without a network");
  // As after a sleep: nothing was heard for long.
  await ana.evaluate(() => {
    const { now } = Date;
    Date.now = () => now() + 60_000;
    document.dispatchEvent(new Event("visibilitychange"));
    Date.now = now;
  });
  await ana.context().setOffline(false);
  for (const text of ["first", "second", "third", "typed without a network"]) {
    await hears(ana, text);
  }
  await hears(joao, "typed without a network");
  assert.ok(!(await texts(joao)).includes("second"));

  // A reload with something on its way.
  await ana.route("**/RPC2", (route) => (route.request().postData().includes("send_message") ? route.abort() : route.continue()));
  await say(ana, "typed before the reload");
  await ana.waitForSelector(".waiting");
  await ana.unroute("**/RPC2");
  await ana.reload();
  await hears(ana, "typed before the reload");
  await hears(joao, "typed before the reload");

  // More windows than the server allows a name: one of them says so, and comes in when there is room.
  const more = await Promise.all(Array.from({ length: 4 }, () => ana.context().newPage()));
  for (const page of more) {
    await page.goto(`http://${server.address}/#lobby`);
    await page.waitForSelector("#room:not([hidden])");
  }
  const late = await Promise.any(
    more.map(async (page) => {
      await page.waitForSelector("#outage >> text=too many windows");
      return page;
    }),
  );
  await more.find((page) => page !== late).close();
  await eventually("there is room", async () => {
    // As when somebody comes back to the window.
    await late.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    return late.isHidden("#outage");
  });
  for (const page of more) {
    await page.close();
  }

  // Elsewhere in another window: no fight for the place.
  const other = await ana.context().newPage();
  await other.goto(`http://${server.address}/#lobby`);
  await other.waitForSelector("#room:not([hidden])");
  await other.click("#back");
  await ana.waitForSelector("#outage >> text=You have left this room");
  await ana.click("#outage button");
  await say(ana, "back again");
  await hears(joao, "back again");

  // A server without memory says so by a new room: nothing typed is lost, and nothing said before is shown again, even if its
  // author sends it again.
  await bob("said twice", "", "a key");
  for (const page of [ana, joao]) {
    await hears(page, "said twice");
  }
  const newcomer = await enter(browser, server, "late", "lobby");
  await hears(newcomer, "said twice");
  await server.kill();
  await joao.waitForSelector("#outage >> text=Connection lost.");
  await say(joao, "typed for a server that forgets");
  server = await serve("SERVER", ["--no-binder"], server.address);
  for (const page of [ana, joao]) {
    await page.waitForSelector("#outage", { state: "hidden" });
    await page.waitForSelector(".note >> text=lost its memory");
    await hears(page, "typed for a server that forgets");
  }
  const again = await member(server, "bob", "lobby");
  await again("said twice", "", "a key");
  await again("after the second time");
  for (const page of [ana, joao, newcomer]) {
    await hears(page, "after the second time");
    await hears(page, "said twice");
  }
  await hears(joao, "before");
});
