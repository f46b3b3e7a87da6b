// The system's Chromium.

import { accessSync, constants } from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/** CHROMIUM, or the first that is found on the PATH. */
function executable() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of names) {
    for (const folder of process.env.PATH.split(path.delimiter)) {
      const file = path.join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not here.
      }
    }
  }
  throw new Error(`no Chromium: install one of ${names.join(", ")}, or set CHROMIUM`);
}

/** Headless, and without a way to the outside. */
export const launch = () =>
  chromium.launch({
    executablePath: executable(),
    // Chromium's sandbox refuses to run as root.
    chromiumSandbox: process.getuid() !== 0,
    args: [
      "--host-resolver-rules=MAP evil.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
      "--disable-dev-shm-usage",
    ],
  });
