// The npm library `eventsource`, unmodified: it reconnects by itself with Last-Event-ID.
import net from "node:net";
import { EventSource } from "eventsource";
import { Inbox, assert, http, main, port, post, scenario, within } from "./scenarios.mjs";

function open(url, events = []) {
  const source = new EventSource(url), inbox = new Inbox();
  for (const name of ["message", ...events]) source.addEventListener(name, (event) => inbox.push([event.type, event.data, event.lastEventId]));
  const opened = within(new Promise((resolve) => { source.onopen = resolve; }), 10_000, "open");
  return { source, inbox, opened };
}

scenario("messages, named events and line ends", async (room) => {
  const { source, inbox, opened } = open(`${http}/r/${room}`, ["note"]);
  await opened;
  const first = await post(room, "one\ntwo");
  const second = await post(room, "{}", { "content-type": "application/json" }, "?event=note");
  assert.deepEqual(await inbox.next(), ["message", "one\ntwo", first]);
  assert.deepEqual(await inbox.next(), ["note", "{}", second]);
  source.close();
});

// A relay between the library and the server that can be cut.
function relay() {
  const pairs = new Set();
  const server = net.createServer((client) => {
    const upstream = net.connect(port, "127.0.0.1");
    for (const [one, other] of [[client, upstream], [upstream, client]]) { one.pipe(other); one.on("error", () => other.destroy()); one.on("close", () => other.destroy()); }
    pairs.add(client);
  });
  return { server, cut() { for (const client of pairs) client.destroy(); pairs.clear(); } };
}

scenario("a cut connection resumes by Last-Event-ID and misses nothing", async (room) => {
  const { server, cut } = relay();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { source, inbox, opened } = open(`http://127.0.0.1:${server.address().port}/r/${room}`);
  await opened;
  await post(room, "before");
  assert.equal((await inbox.next())[1], "before");
  cut();
  for (let number = 0; number < 10; number++) await post(room, `missed ${number}`);
  for (let number = 0; number < 10; number++) assert.equal((await inbox.next())[1], `missed ${number}`);
  await post(room, "after");
  assert.equal((await inbox.next())[1], "after");
  source.close();
  server.close();
  cut();
});

scenario("a cut before the first message resumes by the lone id", async (room) => {
  const { server, cut } = relay();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { source, inbox, opened } = open(`http://127.0.0.1:${server.address().port}/r/${room}`);
  await opened;
  await new Promise((resolve) => setTimeout(resolve, 200));
  cut();
  await post(room, "while you were away");
  assert.equal((await inbox.next())[1], "while you were away");
  source.close();
  server.close();
  cut();
});

await main();
