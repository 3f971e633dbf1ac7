// The npm library `ws` in Taut's place, to tell a fault of ours from one of the suite or of the machine.
//   node reference.mjs server PORT      echoes
//   node reference.mjs client URL       runs every case that the fuzzing server at URL holds
import WebSocket, { WebSocketServer } from "ws";

const deflate = { threshold: 0 };
const bytesMax = 17 << 20, limits = { maxPayload: bytesMax, maxFragments: 1 << 17, maxBufferedChunks: 1 << 20 };
const [role, where] = process.argv.slice(2);

function echo(socket) {
  socket.on("error", () => {});
  socket.on("message", (data, binary) => socket.send(data, { binary }));
}

function ended(url, prepare) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, { ...limits, perMessageDeflate: deflate });
    prepare(socket);
    socket.on("error", () => {});
    socket.on("close", resolve);
  });
}

if (role === "server") {
  const server = new WebSocketServer({ host: "127.0.0.1", port: Number(where), ...limits, perMessageDeflate: deflate });
  server.on("connection", echo);
} else {
  let cases = 0;
  await ended(`${where}/getCaseCount`, (socket) => socket.on("message", (data) => { cases = Number(data); }));
  for (let number = 1; number <= cases; number++) await ended(`${where}/runCase?case=${number}&agent=reference`, echo);
  await ended(`${where}/updateReports?agent=reference`, () => {});
}
