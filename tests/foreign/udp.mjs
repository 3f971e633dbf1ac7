// A device on UDP with Node's own sockets. `node udp.mjs PORT ROOM`: proves its address, joins, prints each unit that comes as a line, answers the first message
// with one of its own, and ends when that is acknowledged.
import dgram from "node:dgram";

const [port, room] = process.argv.slice(2);
const socket = dgram.createSocket("udp4");
const send = (unit) => socket.send(JSON.stringify(unit));
const join = { join: room, as: "device", ref: "join" };

socket.on("message", (data) => {
  const unit = JSON.parse(data);
  console.log(JSON.stringify(unit));
  if (unit.prove) send({ ...join, proof: unit.prove });
  if (unit.data !== undefined) send({ publish: room, data: { heard: unit.data }, ref: "publish" });
  if (unit.ok === "publish") socket.close();
});
socket.connect(Number(port), "127.0.0.1", () => send(join));
