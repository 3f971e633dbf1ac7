// Headless Chromium on the room's page, talking with nc. `node browser.mjs PORT [FOLDER]`; screenshots go to the folder.
import { launch } from "./chromium.mjs";
import { assert, http, main, nc, port, post, relay, scenario, within } from "./scenarios.mjs";

const folder = process.argv[3];
const browser = await launch();

async function visit(path, { base = http, context = browser.newContext() } = {}) {
  const page = await (await context).newPage(), errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
  await page.goto(`${base}${path}`);
  await page.waitForSelector("#state[data-state=open]");
  return { page, errors, texts: () => page.$$eval("#messages .text", (all) => all.map((one) => one.textContent)) };
}

function says(page, text) { return page.waitForFunction((text) => [...document.querySelectorAll("#messages .text")].some((one) => one.textContent === text), text); }

async function speak(page, text) {
  await page.fill("#say", text);
  await page.press("#say", "Enter");
}

scenario("page and nc talk, and see each other", async (room) => {
  const { page, errors } = await visit(`/r/${room}`), person = nc();
  person.type(`/join ${room}`);
  person.type("/nick nora");
  await page.waitForFunction(() => [...document.querySelectorAll("#who li")].some((one) => one.textContent === "noratext"));
  person.type("hello page");
  await says(page, "hello page");
  await page.fill("#name", "paul");
  await page.press("#name", "Tab");
  await person.until("paul joined");
  await speak(page, "hello nc");
  await person.until("paul: hello nc");
  await page.waitForSelector("#messages .mine:not(.pending)");
  assert.equal(await page.textContent("#count"), "2");
  if (folder) await page.screenshot({ path: `${folder}/page.png` });
  person.type("/quit");
  await page.waitForFunction(() => document.querySelector("#count").textContent === "1");
  assert.deepEqual(errors, []);
  person.close();
  await page.close();
});

scenario("arguments are shown as their array, and run nothing", async (room) => {
  const { page, errors } = await visit(`/r/${room}`), array = '["e2",{"base64":"AAH/"},"<img src=x onerror=alert(1)>"]';
  const body = `[{"args":${array}}]`, headers = { "Content-Type": "application/json" };
  assert.equal((await fetch(`${http}/r/${room}?batch`, { method: "POST", headers, body })).status, 200);
  await says(page, array);
  assert.deepEqual(errors, []);
  await page.close();
});

scenario("a name stands once on the page, with how many connections it has", async (room) => {
  const { page, errors } = await visit(`/r/${room}`), here = (text) => page.waitForFunction((text) => [...document.querySelectorAll("#who li")].map((one) => one.firstChild.textContent).join() === text, text);
  await page.fill("#name", "paul");
  await page.press("#name", "Tab");
  const [one, other] = [nc(), nc()];
  for (const person of [one, other]) {
    person.type("/nick nora");
    person.type(`/join ${room}`);
    await person.until("you are nora in");
  }
  await here("nora (2),paul");
  assert.equal(await page.textContent("#count"), "2");
  one.type("/quit");
  await here("nora,paul");
  other.type("/quit");
  await here("paul");
  assert.deepEqual(errors, []);
  one.close();
  other.close();
  await page.close();
});

scenario("what is said on the lane latest has one line for each key, which changes in its place", async (room) => {
  const { page, texts, errors } = await visit(`/r/${room}`);
  const tick = (body, query) => fetch(`${http}/r/${room}?lane=latest${query}`, { method: "POST", body });
  for (const number of [1, 2, 3]) {
    await tick(`ana is at ${number}`, "&key=ana");
    await says(page, `ana is at ${number}`);
    await post(room, `numbered ${number}`);
    await says(page, `numbered ${number}`);
  }
  await tick("now", "&event=tick");
  await tick("bo is at 1", "&key=bo");
  await says(page, "bo is at 1");
  assert.deepEqual(await texts(), ["ana is at 3", "numbered 1", "numbered 2", "numbered 3", "ticknow", "bo is at 1"]);
  assert.deepEqual(errors, []);
  await page.close();
});

scenario("the lobby is at the root", async () => {
  const { page } = await visit("/"), person = nc();
  person.type("good morning, lobby");
  await says(page, "good morning, lobby");
  assert.equal(await page.textContent("#room"), "lobby");
  person.close();
  await page.close();
});

scenario("what others write stays text", async (room) => {
  const { page, errors } = await visit(`/r/${room}`);
  const wicked = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>';
  await post(room, wicked, {}, `?as=${encodeURIComponent("<b>eve</b>")}&event=${encodeURIComponent("<i>x</i>")}`);
  await page.waitForSelector("#messages li");
  assert.equal(await page.$$eval("#messages img, #messages script, #messages i", (all) => all.length), 0);
  assert.equal(await page.textContent("#messages b"), "<b>eve</b>");
  assert.equal(await page.textContent("#messages .text"), `<i>x</i>${wicked}`);
  assert.notEqual(await page.title(), "owned");
  assert.deepEqual(errors, []);
  await page.close();
});

scenario("every kind of body is shown", async (room) => {
  const { page } = await visit(`/r/${room}`);
  await post(room, '{ "big": 123456789012345678901234567890, "x" : 1 }', { "content-type": "application/json" });
  await post(room, new Uint8Array(12), { "content-type": "application/octet-stream" });
  await post(room, "one\ntwo", { "content-type": "text/plain" });
  await says(page, '{"big":123456789012345678901234567890,"x":1}');
  await says(page, "<12 bytes>");
  await says(page, "one\ntwo");
  await page.close();
});

scenario("a visitor sees what was said before", async (room) => {
  for (let number = 0; number < 60; number++) await post(room, `line ${number}`);
  const { page, texts } = await visit(`/r/${room}`);
  await says(page, "line 59");
  assert.deepEqual(await texts(), Array.from({ length: 50 }, (_, index) => `line ${index + 10}`));
  await page.close();
});

scenario("a cut connection resumes: nothing is missing, nothing stands twice, what was typed goes out", async (room) => {
  const between = await relay();
  const { page, texts } = await visit(`/r/${room}`, { base: `http://127.0.0.1:${between.port}` });
  await post(room, "before");
  await says(page, "before");
  await speak(page, "mine");
  await page.waitForSelector("#messages .mine:not(.pending)");
  between.close();
  await page.waitForSelector("#state[data-state=closed]");
  await post(room, "missed one");
  await post(room, "missed two");
  await speak(page, "typed while away");
  assert.equal(await page.$$eval("#messages .pending", (all) => all.length), 1);
  await between.reopen();
  await page.waitForSelector("#state[data-state=open]", { timeout: 40_000 });
  await says(page, "missed two");
  await page.waitForFunction(() => document.querySelectorAll("#messages .pending").length === 0);
  await post(room, "after");
  await says(page, "after");
  assert.deepEqual((await texts()).sort(), ["after", "before", "mine", "missed one", "missed two", "typed while away"]);
  const kept = (await (await fetch(`${http}/r/${room}?history`)).json()).messages.map((message) => message.data);
  assert.deepEqual(kept, ["before", "mine", "missed one", "missed two", "typed while away", "after"]);
  await page.close();
  between.close();
});

scenario("a name is remembered, and one that the server would refuse is tidied", async (room) => {
  const context = browser.newContext(), { page } = await visit(`/r/${room}`, { context });
  await page.fill("#name", " pa:ul|  ");
  await page.press("#name", "Enter");
  assert.equal(await page.inputValue("#name"), "paul");
  await page.close();
  const again = await visit(`/r/${room}/other`, { context });
  assert.equal(await again.page.inputValue("#name"), "paul");
  await again.page.fill("#name", "ü".repeat(64));
  await again.page.press("#name", "Enter");
  assert.equal(await again.page.inputValue("#name"), "ü".repeat(32));
  await again.page.close();
});

scenario("the console of the page can open every door", async (room) => {
  const { page, errors } = await visit("/", { base: `http://localhost:${port}` });
  const heard = page.evaluate(async ({ port, room }) => {
    const socket = new WebSocket(`ws://localhost:${port}/r/${room}`), source = new EventSource(`/r/${room}/sse`);
    const say = (where, body) => fetch(`http://localhost:${port}/r/${where}`, { method: "POST", body });
    await Promise.all([new Promise((resolve) => { socket.onopen = resolve; }), new Promise((resolve) => { source.onopen = resolve; })]);
    source.onmessage = (message) => { source.close(); say(room, `heard ${message.data}`); };
    say(`${room}/sse`, "x");
    return new Promise((resolve) => { socket.onmessage = (message) => resolve(message.data); });
  }, { port, room });
  assert.equal(await within(heard), "heard x");
  assert.deepEqual(errors, []);
  await page.close();
});

scenario("a browser's EventSource that was cut before the first message misses nothing", async (room) => {
  const between = await relay(), page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${between.port}/`);
  await page.evaluate((room) => new Promise((resolve) => {
    globalThis.heard = [];
    const source = new EventSource(`/r/${room}`);
    source.onmessage = (message) => heard.push(message.data);
    source.onopen = () => setTimeout(resolve, 200);
  }), room);
  between.cut();
  await post(room, "while you were away");
  await page.waitForFunction(() => heard.length > 0);
  await post(room, "and then");
  await page.waitForFunction(() => heard.length > 1);
  assert.deepEqual(await page.evaluate(() => heard), ["while you were away", "and then"]);
  await page.close();
  between.close();
});

scenario("the page asks nobody else for anything", async (room) => {
  const page = await browser.newPage(), asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).host));
  await page.goto(`${http}/r/${room}`);
  await page.waitForSelector("#state[data-state=open]");
  assert.deepEqual([...new Set(asked)], [`127.0.0.1:${port}`]);
  await page.close();
});

scenario("it fits a phone, in the dark too", async (room) => {
  const context = await browser.newContext({ viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true, colorScheme: "dark" });
  const { page } = await visit(`/r/${room}`, { context });
  await post(room, "w".repeat(300));
  await says(page, "w".repeat(300));
  await page.click("#doors summary");
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  assert.equal(await page.evaluate(() => document.querySelector("#say").getBoundingClientRect().bottom <= innerHeight), true);
  await page.click("#doors summary");
  if (folder) await page.screenshot({ path: `${folder}/phone.png` });
  await context.close();
});

scenario("a long visit keeps its list bounded and follows the end", async (room) => {
  const { page } = await visit(`/r/${room}`);
  for (let number = 0; number < 520; number++) await post(room, `line ${number}`);
  await says(page, "line 519");
  assert.equal(await page.$$eval("#messages li", (all) => all.length), 500);
  assert.equal(await page.evaluate(() => { const list = document.querySelector("#messages"); return list.scrollHeight - list.scrollTop - list.clientHeight < 2; }), true);
  await page.close();
});

scenario("the lines to paste name this room", async (room) => {
  const { page } = await visit(`/r/${room}/z%C3%BCge`);
  const lines = await page.$$eval("#doors pre", (all) => all.map((one) => one.textContent));
  assert.ok(lines.includes(`curl -d 'hello' '${http}/r/${room}/z%C3%BCge'`), lines.join("\n"));
  assert.ok(lines.includes(`nc 127.0.0.1 ${port}`));
  assert.equal(await page.textContent("#room"), `${room}/züge`);
  await page.close();
});

await main();
await browser.close();
process.exit();
