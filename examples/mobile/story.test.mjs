import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { startPawl } from "../test/pawl.mjs";

test("the story goes as it should", async (t) => {
  const pawl = await startPawl(t, { PAWL_REUSE_GRACE: "1s" });
  const env = { ...process.env, PAWL_URL: pawl.url, PAWL_REUSE_GRACE: "1s" };
  const story = spawn(process.execPath, [join(import.meta.dirname, "story.mjs")], { env, stdio: ["ignore", "pipe", "pipe"] });
  const [said, complaints, [code]] = await Promise.all([text(story.stdout), text(story.stderr), once(story, "exit")]);
  assert.equal(code, 0, said + complaints);
  assert.match(said, /\n9\. .*\n.*\n\nAll as it should be\.\n$/s);
});
