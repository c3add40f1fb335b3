// The binder's page: who is registered, as text and as links that lead to the chat.

import assert from "node:assert/strict";
import { call, eventually, inBrowser, serve, window } from "./support.mjs";

const HOSTILE = "<img/src=x/onerror=alert(1)>";

await inBrowser(async (browser) => {
  const binder = await serve("BINDER");
  const server = await serve("SERVER", ["--binder", binder.address]);
  const page = await window(browser);
  await page.goto(`http://${binder.address}/`);
  const link = page.locator("#servers a");
  await link.waitFor();
  assert.equal(await link.count(), 1);
  assert.match(await page.textContent("#servers small"), /registered for \d+ s more/);
  assert.equal(await page.title(), "Chat servers");

  // What registers later comes by itself, and only as text.
  await call(binder, "register_procedure", HOSTILE, "192.0.2.1", 7);
  await call(binder, "register_procedure", "print", "2001:db8::1", 80);
  await eventually("the others are listed", async () => (await page.locator("#services .server").count()) === 2);
  await page.click("#services summary >> nth=0");
  assert.deepEqual(await page.$$eval("#services .where", (all) => all.map((one) => one.textContent)), [
    "192.0.2.1:7",
    "[2001:db8::1]:80",
  ]);
  assert.equal(await page.locator("#services a").count(), 0);
  assert.equal(await page.textContent("#services li li >> nth=0"), HOSTILE);

  // The link leads to the chat.
  await link.click();
  await page.waitForSelector("#door:not([hidden])");
  assert.equal(new URL(page.url()).host, server.address);

  // Who is gone is gone from the list; a binder that is away is said to be.
  const other = await window(browser, { locale: "pt-BR" });
  await other.goto(`http://${binder.address}/`);
  await other.waitForSelector("#servers a");
  // It asks again at once when it is looked at again, and not only every few seconds.
  const look = () => other.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  server.child.kill("SIGTERM");
  await server.ended;
  await look();
  await other.waitForSelector("text=Nenhum servidor de chat está registrado aqui no momento.");
  await binder.kill();
  await look();
  await other.waitForSelector("#trouble >> text=Não foi possível falar com o binder");
});
