// Takes the pictures of the example in docs/images: `scripts/with-services node browser/screenshots.mjs`, or
// `make screenshots`.

import path from "node:path";
import { elsewhere, heading, signIn, visitExample } from "./world/example.mjs";
import { password } from "./world/pawl.mjs";
import { openWorld } from "./world/world.mjs";

const folder = path.join(import.meta.dirname, "../docs/images");
const sizes = { "": { width: 1100, height: 720 }, "-small": { width: 390, height: 844 } };

/** The page in each size, by day and by night. */
async function take(page, name) {
  for (const [size, viewport] of Object.entries(sizes)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.screenshot({ path: path.join(folder, `example-${name}${size}-${colorScheme}.png`) });
    }
  }
}

const ends = [];
const t = { after: (end) => ends.unshift(end) };
const world = await openWorld();
ends.push(world.close);
try {
  const { page, email, context } = await visitExample(t, world);
  await heading(page, "Sign in");
  await page.getByLabel("Email").fill(email);
  await take(page, "login");

  for (const deviceName of ["Ann's phone", "Firefox on Windows"]) {
    const other = await elsewhere(t, world, email);
    await other.page.evaluate((input) => app.pawl.login(input).then(() => {}), { email, password, deviceName });
  }
  await signIn(page, email);
  await heading(page, "Home");
  await page.getByText(email).waitFor();
  await take(page, "home");
  await page.getByRole("link", { name: "Your devices" }).click();
  await page.getByRole("listitem").nth(2).waitFor();
  await take(page, "devices");

  const cookies = await context.cookies(world.example.relay.url);
  await page.evaluate(() => (location.hash = ""));
  await page.getByRole("button", { name: "Refresh now" }).click();
  await page.getByText("replaced once").waitFor();
  await new Promise((done) => setTimeout(done, world.serve.grace + 250));
  await context.addCookies(cookies); // what a thief would send
  await page.getByRole("button", { name: "Refresh now" }).click();
  await heading(page, "We ended your session");
  await take(page, "ended");
} finally {
  for (const end of ends) await end();
}
