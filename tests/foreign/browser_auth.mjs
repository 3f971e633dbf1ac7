// Headless Chromium on the room's page of a server that asks who somebody is. `node browser_auth.mjs PORT FOLDER SECRET`; test_auth.py runs it.
import { createHmac } from "node:crypto";
import { launch } from "./chromium.mjs";
import { assert, http, main, scenario } from "./scenarios.mjs";

const [, , , folder, secret] = process.argv;
const browser = await launch();

function token(user, life = 600) {
  const coded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url"), now = Math.floor(Date.now() / 1000);
  const signed = `${coded({ alg: "HS256", typ: "JWT" })}.${coded({ sub: user, iat: now, exp: now + life, taut: { grants: { "**": "*" } } })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

async function visit(path) {
  const page = await (await browser.newContext()).newPage(), errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${http}${path}`);
  return { page, errors };
}

const asked = (page) => page.waitForSelector("#ask:not([hidden])");
const inside = (page) => page.waitForSelector("#state[data-state=open]");

scenario("whoever may not come in is asked for a token, and comes in with one", async (room) => {
  const { page, errors } = await visit(`/r/${room}`);
  await asked(page);
  assert.match(await page.textContent("#why"), /the right join is needed/);
  if (folder) await page.screenshot({ path: `${folder}/page-asks.png` });
  await page.fill("#token", "nonsense");
  await page.press("#token", "Enter");
  await page.waitForFunction(() => /token/.test(document.querySelector("#why").textContent) && !/right join/.test(document.querySelector("#why").textContent));
  await page.fill("#token", token("ana"));
  await page.press("#token", "Enter");
  await inside(page);
  assert.equal(await page.isVisible("#ask"), false);
  assert.equal(await page.inputValue("#name"), "ana");
  await fetch(`${http}/r/${room}?as=Bo`, { method: "POST", body: "hello", headers: { Authorization: `Bearer ${token("u-17")}` } });
  await page.waitForSelector("#messages .by");
  assert.equal(await page.textContent("#messages b"), "Bo✓ u-17");
  assert.deepEqual(errors, []);
  await page.close();
});

scenario("a token leaves the address, and lasts as long as the tab", async (room) => {
  const { page, errors } = await visit(`/r/${room}?token=${token("ana")}&x=1`);
  await inside(page);
  assert.equal(page.url(), `${http}/r/${room}?x=1`);
  await page.reload();
  await inside(page);
  assert.deepEqual(errors, []);
  await page.close();
});

scenario("whoever may only listen listens, and does not see who is there", async (room) => {
  const { page, errors } = await visit(`/r/heard/${room}`);
  await inside(page);
  assert.equal(await page.isVisible("#here"), false);
  await fetch(`${http}/r/heard/${room}`, { method: "POST", body: "to all", headers: { Authorization: `Bearer ${token("ana")}` } });
  await page.waitForSelector("#messages .text");
  await page.fill("#say", "may I?");
  await page.press("#say", "Enter");
  await page.waitForSelector("#messages .failed .why");
  assert.deepEqual(errors, []);
  await page.close();
});

scenario("when a token ends the page asks for a new one, and goes on where it was", async (room) => {
  const { page, errors } = await visit(`/r/${room}?token=${token("ana", 3)}`);
  await inside(page);
  await asked(page);
  await fetch(`${http}/r/${room}`, { method: "POST", body: "meanwhile", headers: { Authorization: `Bearer ${token("bo")}` } });
  await page.fill("#token", token("ana"));
  await page.press("#token", "Enter");
  await inside(page);
  await page.waitForFunction(() => [...document.querySelectorAll("#messages .text")].some((one) => one.textContent === "meanwhile"));
  assert.deepEqual(errors, []);
  await page.close();
});

await main();
await browser.close();
process.exit(0);
