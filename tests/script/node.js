// Repeats the golden histories in node: `node tests/script/node.js tests/script/histories.jsonl`.

import { readFileSync } from "node:fs";
import { argv } from "node:process";

import { StreamReceiver } from "../../src/web/pages/chat/stream/receiver.js";
import { StreamSender } from "../../src/web/pages/chat/stream/sender.js";
import { replay } from "./replay.js";

const lines = replay(readFileSync(argv[2], "utf8"), { StreamReceiver, StreamSender });
console.log(`${lines} lines`);
