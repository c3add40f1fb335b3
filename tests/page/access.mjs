// Everybody can use it: axe-core finds nothing, nothing is wider than the screen, and a keyboard is enough.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { eventually, hears, inBrowser, member, say, serve, window } from "./support.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const SCREENS = process.env.SCREENS;
const WIDTHS = [320, 800, 1600];

/** Fails with what axe-core finds, the best practices included. */
async function check(page, what) {
  // The page's policy would not let it in; this is a copy of the page without one.
  await page.evaluate(await (await import("node:fs/promises")).readFile(AXE, "utf8"));
  const found = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  const told = found.violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("; ")}`,
  );
  assert.deepEqual(told, [], what);
  assert.ok(found.passes.length > 10);
}

async function fits(page, what) {
  const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= screen, `${what} is ${wide} wide on a screen of ${screen}`);
  const cut = await page.$$eval("button, input, textarea", (all) =>
    all
      .filter(
        (one) =>
          one.offsetParent && (one.getBoundingClientRect().right > innerWidth + 1 || one.getBoundingClientRect().left < -1),
      )
      .map((one) => one.id || one.textContent),
  );
  assert.deepEqual(cut, [], `${what}: out of the screen`);
}

/** At every width, in light and dark, with text twice as large too. */
async function everywhere(page, what) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: width === 320 ? 568 : 800 });
      await page.waitForTimeout(50);
      if (SCREENS) {
        await page.screenshot({ path: `${SCREENS}/${what}-${width}-${colorScheme}.png` });
      }
      await fits(page, `${what} at ${width}`);
      if (width !== 800) {
        await check(page, `${what} at ${width}, ${colorScheme}`);
      }
    }
  }
  await page.setViewportSize({ width: 640, height: 800 });
  await page.evaluate(() => {
    document.documentElement.style.fontSize = "32px";
  });
  await fits(page, `${what} with text of 200 %`);
  if (SCREENS) {
    await page.screenshot({ path: `${SCREENS}/${what}-200.png` });
  }
  await page.evaluate(() => {
    document.documentElement.style.fontSize = "";
  });
  await page.setViewportSize({ width: 800, height: 640 });
}

await inBrowser(async (browser) => {
  const binder = await serve("BINDER");
  const server = await serve("SERVER", ["--binder", binder.address]);
  const carla = await member(server, "carla", "kitchen", true);
  await member(server, "joão", "lobby", true);

  // In with the keyboard alone: a name, and the first room.
  const ana = await window(browser);
  await ana.goto(`http://${server.address}/`);
  await ana.waitForSelector("#rooms button");
  await everywhere(ana, "door");
  await ana.focus("#name");
  await ana.keyboard.type("ana");
  await ana.keyboard.press("Enter");
  assert.equal(await ana.evaluate(() => document.activeElement.textContent.startsWith("kitchen")), true);
  await ana.keyboard.press("Enter");
  await ana.waitForSelector("#room:not([hidden])");
  assert.equal(await ana.evaluate(() => document.activeElement.id), "text");

  await carla("Hello ana! Did you see the new build? It is on all four routers.");
  await carla("The one in the attic has stopped losing its clock, see https://example.org/attic");
  await hears(ana, "Hello ana! Did you see the new build? It is on all four routers.");
  // What a screen reader is told.
  await eventually("it is announced", async () => (await ana.textContent("#announced")).includes("carla: "));
  await ana.keyboard.type("Not yet, I am on the train.\n");
  // A private one, by completing the name.
  await ana.keyboard.type("@car");
  await ana.keyboard.press("Tab");
  assert.equal(await ana.inputValue("#text"), "@carla ");
  await ana.keyboard.type("Don’t tell Zé yet");
  await ana.waitForSelector("#hint >> text=Only carla will read this.");
  await ana.keyboard.press("Enter");
  await carla("My lips are sealed", "ana");
  await hears(ana, "My lips are sealed");
  await hears(ana, "Don’t tell Zé yet");
  await say(ana, "@zoe are you there?");
  await ana.waitForSelector(".refused");
  await everywhere(ana, "room");

  // Every control can be reached, and is seen to be.
  await ana.focus("#text");
  const reached = [];
  for (let steps = 0; steps < 12; steps += 1) {
    await ana.keyboard.press("Shift+Tab");
    reached.push(await ana.evaluate(() => document.activeElement.id));
  }
  for (const id of ["log", "back", "settings-open"]) {
    assert.ok(reached.includes(id), `${id} in ${reached}`);
  }
  await ana.focus("#settings-open");
  await ana.keyboard.press("Enter");
  await ana.waitForSelector("#settings[open]");
  await everywhere(ana, "settings");
  await ana.keyboard.press("Escape");
  await ana.setViewportSize({ width: 320, height: 568 });
  await ana.click("#count");
  await everywhere(ana, "people");

  const list = await window(browser);
  await list.goto(`http://${binder.address}/`);
  await list.waitForSelector("#servers a");
  await everywhere(list, "binder");
});
