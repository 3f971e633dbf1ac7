// The npm library `socket.io-client`, unmodified, doing what it is told: a command as a line of JSON on stdin, answers and events as lines of JSON on stdout.
// `node socketio_peer.mjs node VERSION` runs it in this process, `node socketio_peer.mjs chromium LIBRARY_URL` in a page of another origin than the server's.
// Bytes are written {"$hex":"00ff"}. `socketio_clients.py` holds the other end.
import http from "node:http";
import readline from "node:readline";

const [where, which] = process.argv.slice(2);
const say = (unit) => process.stdout.write(`${JSON.stringify(unit)}\n`);

// Runs in a page as well, so it uses nothing from outside.
function agent(io, tell) {
  const sockets = new Map();

  function toWire(value) {
    if (typeof value === "function") return { $ack: true };
    if (value instanceof ArrayBuffer) value = new Uint8Array(value);
    if (ArrayBuffer.isView(value)) return { $hex: Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("") };
    if (Array.isArray(value)) return value.map(toWire);
    if (value !== null && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toWire(item)]));
    return value;
  }

  function fromWire(value) {
    if (Array.isArray(value)) return value.map(fromWire);
    if (value === null || typeof value !== "object") return value;
    if (typeof value.$hex === "string") {
      const bytes = Uint8Array.from(value.$hex.match(/../g) ?? [], (two) => parseInt(two, 16));
      return typeof Buffer === "undefined" ? bytes.buffer : Buffer.from(bytes);
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromWire(item)]));
  }

  const state = (socket) => ({
    id: socket.id ?? null,
    connected: socket.connected,
    recovered: socket.recovered ?? false,
    transport: socket.io.engine?.transport?.name ?? null,
    pid: socket._pid ?? null,
    offset: socket._lastOffset ?? null,
  });

  const verbs = {
    open({ socket: name, url, namespace, options, beside }) {
      // As an unmodified program does it, or as a further namespace of a connection that there is.
      const socket = beside ? sockets.get(beside).io.socket(namespace, options) : io(url + namespace, options);
      sockets.set(name, socket);
      const on = (what, more) => tell({ socket: name, on: what, ...more });
      socket.on("connect", () => on("connect", state(socket)));
      socket.on("disconnect", (reason) => on("disconnect", { reason }));
      socket.on("connect_error", (error) => on("connect_error", { message: error.message, data: error.data ?? null }));
      // What came ahead of CONNECT's answer when the connection was lost again: the library keeps it, and asks for it once more.
      socket.io.on("close", () => on("buffered", { count: socket.receiveBuffer.length }));
      socket.onAny((event, ...args) => on("event", { event, args: toWire(args) }));
    },
    emit({ socket: name, args, volatile }) {
      const socket = sockets.get(name);
      (volatile ? socket.volatile : socket).emit(...fromWire(args));
    },
    ask({ socket: name, args }) {
      return new Promise((resolve) => sockets.get(name).emit(...fromWire(args), (...answer) => resolve(toWire(answer))));
    },
    // Every one before the first answer is in.
    burst({ socket: name, many }) {
      const socket = sockets.get(name);
      return Promise.all(many.map((args) => new Promise((resolve) => socket.emit(...fromWire(args), (...answer) => resolve(toWire(answer))))));
    },
    state: ({ socket: name }) => state(sockets.get(name)),
    connect({ socket: name }) { sockets.get(name).connect(); },
    disconnect({ socket: name }) { sockets.get(name).disconnect(); },
    // What the documentation of Socket.IO tells people to do to see a recovery.
    drop({ socket: name }) { sockets.get(name).io.engine.close(); },
    transports({ socket: name, transports }) { sockets.get(name).io.opts.transports = transports; },
    forge({ socket: name, pid, offset }) {
      const socket = sockets.get(name);
      if (pid !== undefined) socket._pid = pid ?? undefined;
      if (offset !== undefined) socket._lastOffset = offset ?? undefined;
    },
    end({ socket: name }) {
      const socket = sockets.get(name);
      socket.offAny();
      socket.disconnect();
      sockets.delete(name);
    },
  };

  return async (command) => {
    try {
      tell({ reply: command.number, value: (await verbs[command.verb](command)) ?? null });
    } catch (error) {
      tell({ reply: command.number, error: String(error?.stack ?? error) });
    }
  };
}

async function inNode() {
  const { io } = await import(which === "latest" ? "socket.io-client" : `socket.io-client-${which}`);
  return agent(io, say);
}

async function inChromium() {
  const { launch } = await import("./chromium.mjs");
  const browser = await launch();
  const server = http.createServer((request, response) => response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>a page of somebody else's</title>"));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const page = await browser.newPage();
  page.on("pageerror", (error) => say({ page: String(error) }));
  await page.exposeFunction("tell", say);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.addScriptTag(which.startsWith("http") ? { url: which } : { path: which });
  await page.evaluate(`globalThis.does = (${agent})(globalThis.io, globalThis.tell)`);
  process.on("exit", () => browser.close());
  return (command) => page.evaluate((command) => { globalThis.does(command); }, command);
}

const does = await (where === "node" ? inNode() : inChromium());
say({ ready: true });
readline.createInterface({ input: process.stdin }).on("line", (line) => does(JSON.parse(line))).on("close", () => process.exit());
