// Runs the tests of the page's sessions in node: `node tests/script/sessions.js`.

import { RequestError } from "../../src/web/pages/chat/session/request_error.js";
import { Server } from "../../src/web/pages/chat/session/server.js";
import { sessionTests } from "./session_tests.js";

for (const test of sessionTests) {
  try {
    await test({ Server, RequestError });
  } catch (error) {
    console.error(`${test.name}: ${error.stack}`);
    process.exitCode = 1;
  }
}
