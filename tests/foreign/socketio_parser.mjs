// Asks the official parser for its verdict on each line of a file of vectors; prints the lines on which it differs.
import { readFileSync } from "node:fs";
import { Decoder } from "socket.io-parser";

for (const line of readFileSync(process.argv[2], "utf8").split("\n")) {
  const [, verdict, text] = /^(ok|refused|stricter|looser) (.*)$/.exec(line) ?? [];
  if (!verdict) continue;
  let taken = true;
  try {
    new Decoder({ maxAttachments: 64 }).add(text);
  } catch {
    taken = false;
  }
  if (taken === ["refused", "looser"].includes(verdict)) console.log(line);
}
