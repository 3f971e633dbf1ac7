// Node's own sockets as peers. Clients: `node net.mjs client tcp PORT TEXT COUNT`: sends TEXT (JSON), prints what came as JSON once it has COUNT bytes
// (or the end, COUNT 0). Servers: `node net.mjs echo tcp`: prints the port or path that it listens on, and sends back what arrives.
import net from "node:net";
import dgram from "node:dgram";

const [role, kind, ...rest] = process.argv.slice(2);
const place = (text) => (/^\d+$/.test(text) ? { port: Number(text), host: "127.0.0.1" } : { path: text });

function client(where, text, count) {
  const socket = net.connect(place(where));
  const pieces = [];
  const finish = () => {
    console.log(JSON.stringify(Buffer.concat(pieces).toString("latin1")));
    socket.destroy();
  };
  socket.on("connect", () => (count ? socket.write(text, "latin1") : socket.end(text, "latin1")));
  socket.on("data", (data) => {
    pieces.push(data);
    if (count && Buffer.concat(pieces).length >= count) finish();
  });
  socket.on("end", () => count || finish());
}

function datagrams(port, texts) {
  const socket = dgram.createSocket("udp4");
  const came = [];
  socket.on("message", (data) => {
    came.push(data.toString("latin1"));
    if (came.length < texts.length) return socket.send(Buffer.from(texts[came.length], "latin1"));
    console.log(JSON.stringify(came));
    socket.close();
  });
  socket.connect(port, "127.0.0.1", () => socket.send(Buffer.from(texts[0], "latin1")));
}

function echo(where) {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  server.listen(where ? { path: where } : { port: 0, host: "127.0.0.1" }, () => console.log(where ?? server.address().port));
}

function echoDatagrams() {
  const socket = dgram.createSocket("udp4");
  socket.on("message", (data, from) => socket.send(data, from.port, from.address));
  socket.bind(0, "127.0.0.1", () => console.log(socket.address().port));
}

if (role === "client" && kind === "udp") datagrams(Number(rest[0]), JSON.parse(rest[1]));
else if (role === "client") client(rest[0], JSON.parse(rest[1]), Number(rest[2]));
else if (kind === "udp") echoDatagrams();
else echo(rest[0]);
