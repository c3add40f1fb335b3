// Whatever somebody writes is read, and does nothing.

import assert from "node:assert/strict";
import { enter, eventually, hears, inBrowser, input, member, say, serve } from "./support.mjs";

const MARKUP = [
  "<script>window.hacked = 1</script>",
  "<img src=x onerror='window.hacked = 1'>",
  "<svg onload=alert(1)>",
  '<svg><animate onbegin="alert(1)" attributeName=x></svg>',
  "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
  "<a href='javascript:alert(1)'>click me</a>",
  "javascript:alert(1)",
  "JaVaScRiPt://example.org/%0aalert(1)",
  "data:text/html,<script>alert(1)</script>",
  "vbscript:msgbox(1)",
  "file:///etc/passwd",
  "https://user:secret@example.org/",
  "http://bank.example@evil.example/",
  "https://example.org/\" onmouseover='alert(1)",
  "https://example.org/<script>alert(1)</script>",
  "http://",
  "http://[::1",
  "<style>* { display: none }</style>",
  "<link rel=stylesheet href=http://evil.example/x.css>",
  "<base href=http://evil.example/>",
  "<meta http-equiv=refresh content='0;url=http://evil.example'>",
  "<form action=http://evil.example><input name=secret autofocus onfocus=alert(1)>",
  "<object data=http://evil.example></object>",
  "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(1)>",
  "</div></li></ol></main><h1>gone</h1>",
  "</value></param><script>alert(1)</script>",
  "]]><x/><![CDATA[",
  "&lt;script&gt;alert(1)&lt;/script&gt; &#60;b&#62; &amp;",
  "<!-- --><details open ontoggle=alert(1)>",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is to stay as it is.
  "${alert(1)} {{alert(1)}} #{7*7} `alert(1)`",
  "%3Cscript%3Ealert(1)%3C/script%3E",
  "__proto__ constructor toString",
  "*bold* _it_ [x](javascript:alert(1)) ![x](http://evil.example/x.png)",
  "background:url(http://evil.example)} * { color: red",
];

const SCRIPTS = [
  "Grüße aus Köln, süße Ölkännchen",
  "Não é ção; à noite",
  "你好，世界。今天天气很好",
  "مرحبا بالعالم ١٢٣",
  "👩‍🚀 ❤️ 🇧🇷 😀🏽 👨‍👩‍👧",
];

// Lines stay lines here, and tabs are as wide as they are.
const asLines = (shown) => shown.replaceAll("␍␊", "\n").replaceAll("␊", "\n").replaceAll("␉", "\t");
// What XML cannot carry is typed into the page, which shows it and sends what it shows.
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are meant.
const isForbidden = (text) => /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text);

const corpus = await input();
assert.ok(corpus.length > 40);

await inBrowser(async (browser) => {
  const server = await serve("SERVER", ["--no-binder", "--message-rate", "0", "--history-messages", "1000"]);
  const ana = await enter(browser, server, "ana", "lobby");
  const bob = await member(server, "bob", "lobby");
  for (const [, text, shown] of corpus) {
    await (isForbidden(text) ? say(ana, text.replaceAll("\r", "")) : bob(text));
    await hears(ana, asLines(isForbidden(text) ? shown.replaceAll("␍", "") : shown));
  }
  for (const text of [...SCRIPTS, ...MARKUP]) {
    await bob(text);
    await hears(ana, text);
  }
  assert.equal(await ana.evaluate(() => window.hacked), undefined);
  const inside = await ana.$$eval("#log .text *", (all) => all.map((element) => [element.tagName, element.href]));
  assert.ok(inside.length > 0);
  for (const [tag, href] of inside) {
    assert.equal(tag, "A");
    assert.match(href, /^https?:\/\/(?!user|bank)/);
  }
  assert.equal(await ana.locator("h1").count(), 2);
  assert.equal(new URL(ana.url()).hash, "#lobby");

  // What comes in right-to-left letters does not turn its surroundings round.
  await bob("مرحبا!");
  await hears(ana, "مرحبا!");
  const [mine, others] = await ana.$$eval(".said .bubble", (all) =>
    [all[0], all.at(-1)].map((one) => getComputedStyle(one).direction),
  );
  assert.deepEqual([mine, others], ["ltr", "ltr"]);

  // The same with all of it in the history, and where somebody is announced.
  await ana.reload();
  await ana.waitForSelector("#room:not([hidden])");
  await hears(ana, "مرحبا!");
  await eventually("the oldest is there", async () => {
    await ana.evaluate(() => {
      document.getElementById("log").scrollTop = 0;
    });
    return (await ana.textContent("#log")).includes("␛[2J␛[H");
  });
  assert.equal(await ana.evaluate(() => window.hacked), undefined);
});
