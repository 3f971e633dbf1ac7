// The npm library `ws`, unmodified.
import WebSocket from "ws";
import { Inbox, assert, main, post, scenario, within, ws } from "./scenarios.mjs";

function open(url, protocols, options) {
  const socket = new WebSocket(url, protocols, options), inbox = new Inbox();
  socket.on("message", (data, binary) => inbox.push(binary ? data : data.toString()));
  socket.on("error", () => {});
  const opened = within(new Promise((resolve, reject) => { socket.on("open", resolve); socket.on("error", reject); }), 10_000, "open");
  const closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() })));
  return { socket, inbox, opened, closed };
}

scenario("payload only: text stays text, binary stays binary", async (room) => {
  const one = open(`${ws}/r/${room}`), other = open(`${ws}/r/${room}`);
  await Promise.all([one.opened, other.opened]);
  one.socket.send("Grüße");
  one.socket.send(Buffer.from([0, 255]));
  assert.equal(await other.inbox.next(), "Grüße");
  assert.deepEqual(await other.inbox.next(), Buffer.from([0, 255]));
  one.socket.close(1000, "done");
  assert.equal((await within(one.closed)).code, 1000);
  other.socket.terminate();
});

scenario("the subprotocol taut: native JSON, presence, answers", async (room) => {
  const ana = open(`${ws}/r/${room}?as=ana&presence=1`, "taut"), bo = open(`${ws}/r/${room}?as=bo`, ["taut"]);
  await Promise.all([ana.opened, bo.opened]);
  assert.equal(ana.socket.protocol, "taut");
  const joined = JSON.parse(await ana.inbox.next());
  assert.equal(joined.ok, "join");
  await bo.inbox.next();
  if (joined.who.count === 1) assert.equal(JSON.parse(await ana.inbox.next()).presence.joined[0].name, "bo");
  bo.socket.send(JSON.stringify({ publish: room, data: { x: 1 }, event: "move", ref: "r" }));
  assert.equal(JSON.parse(await bo.inbox.next()).ref, "r");
  const heard = JSON.parse(await ana.inbox.next());
  assert.deepEqual([heard.from, heard.event, heard.data], ["bo", "move", { x: 1 }]);
  ana.socket.close();
  bo.socket.close();
});

scenario("a resume by since misses nothing", async (room) => {
  const first = open(`${ws}/r/${room}`, "taut");
  const { at } = JSON.parse(await first.inbox.next());
  first.socket.terminate();
  for (let number = 0; number < 20; number++) await post(room, String(number));
  const second = open(`${ws}/r/${room}?since=${at}`, "taut");
  assert.equal(JSON.parse(await second.inbox.next()).complete, true);
  for (let number = 0; number < 20; number++) assert.equal(JSON.parse(await second.inbox.next()).data, String(number));
  second.socket.close();
});

scenario("a ping is answered with its payload", async () => {
  const { socket, opened, closed } = open(`${ws}/`);
  await opened;
  const pong = new Promise((resolve) => socket.on("pong", resolve));
  socket.ping("are you there?");
  assert.equal((await within(pong)).toString(), "are you there?");
  socket.close();
  await within(closed);
});

scenario("a message over the limit closes with 1009", async () => {
  const { socket, opened, closed } = open(`${ws}/`);
  await opened;
  socket.send(Buffer.alloc(100_000));
  assert.equal((await within(closed)).code, 1009);
});

scenario("offered compression is declined where it is off", async () => {
  const { socket, opened } = open(`${ws}/`, [], { perMessageDeflate: true });
  await opened;
  assert.equal(socket.extensions, "");
  socket.close();
});

scenario("a thousand messages in one burst arrive in order", async (room) => {
  const one = open(`${ws}/r/${room}`), other = open(`${ws}/r/${room}`);
  await Promise.all([one.opened, other.opened]);
  for (let number = 0; number < 1000; number++) one.socket.send(String(number));
  for (let number = 0; number < 1000; number++) assert.equal(await other.inbox.next(), String(number));
  one.socket.close();
  other.socket.close();
});

scenario("a page of another site is refused", async () => {
  const { socket, opened } = open(`${ws}/`, [], { origin: "https://example.com" });
  await assert.rejects(opened, /403/);
  socket.terminate();
});

await main();
process.exit();
