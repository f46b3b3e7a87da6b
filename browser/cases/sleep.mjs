// Laptops that sleep. Signals stop the browser's processes for it, so these cases have a browser of their own, one
// after the other.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch } from "../world/chromium.mjs";
import { answers, ask, refused, shows, until, visit } from "../world/world.mjs";

const [tabCount, queries] = [3, 5];

/** Stops processes of these kinds, or all, until the answer is called or the test ends. */
async function stop(t, browser, kinds) {
  const protocol = await browser.newBrowserCDPSession();
  const { processInfo } = await protocol.send("SystemInfo.getProcessInfo");
  const processes = processInfo.filter(({ type }) => !kinds || kinds.includes(type)).map(({ id }) => id);
  const signal = (name) => {
    for (const id of processes) process.kill(id, name);
  };
  signal("SIGSTOP");
  let stopped = true;
  const wake = () => {
    if (stopped) signal("SIGCONT");
    stopped = false;
  };
  t.after(wake);
  return wake;
}

/** The tabs stop, then each is told to ask, with a token that has expired. They find that when they wake. */
async function wakeTogether(t, browser, tabs) {
  const wake = await stop(t, browser, ["renderer"]);
  const asked = tabs.map((tab) =>
    tab.evaluate((n) => {
      clock.forward(3_600_000);
      return app.burst(n);
    }, queries),
  );
  wake();
  return (await Promise.all(asked)).flat();
}

export function sleepCases(world) {
  describe("sleep", { concurrency: 1 }, () => {
    let browser;
    before(async () => (browser = await launch()));
    after(() => browser?.close());

    test("three tabs wake together with expired tokens: one refresh", async (t) => {
      const person = await visit(t, world, { browser });
      const tabs = await person.signedIn(tabCount);
      assert.deepEqual(await wakeTogether(t, browser, tabs), answers(tabCount * queries, person.email));
      assert.equal(person.relay.of("refresh").length, 1, "refreshes");
    });

    test("three tabs wake together, without the package: nobody signed out", async (t) => {
      const person = await visit(t, world, { browser, app: "urql", bare: true });
      const tabs = await person.signedIn(tabCount);
      assert.deepEqual(await wakeTogether(t, browser, tabs), answers(tabCount * queries, person.email));
      assert.deepEqual(await ask(tabs, 1), answers(tabCount, person.email));
    });

    for (const [clocks, stopped] of [
      ["its clock", "stop"],
      ["all its clocks", "stopAll"],
    ]) {
      test(`the laptop sleeps until the token has expired, and ${clocks} stood still: one refresh`, async (t) => {
        const person = await visit(t, world, { browser, server: world.dev });
        const tabs = await person.signedIn(tabCount, { stopped });
        const token = await tabs[0].evaluate(() => app.pawl.getAccessToken());
        const wake = await stop(t, browser);
        await until(() => refused(world.dev, token));
        // Pawl counts whole seconds, the page counts from its request.
        await new Promise((done) => setTimeout(done, 2_000));
        wake();
        assert.deepEqual(await ask(tabs, queries), answers(tabCount * queries, person.email));
        assert.equal(person.relay.of("refresh").length, 1, "refreshes");
        const refusals = person.relay.of("query").length - tabCount * queries;
        if (stopped === "stop") assert.equal(refusals, 0, "a token that died in the sleep was sent");
        else assert.ok(refusals > 0, "Pawl refused no token");
      });
    }

    test("the laptop sleeps while a refresh is on its way, for longer than the grace", async (t) => {
      const person = await visit(t, world, { browser, server: world.dev });
      const [tab] = await person.signedIn();
      let wake;
      person.relay.fate = async ({ kind }) => {
        if (kind !== "refresh") return;
        person.relay.fate = async () => {};
        wake = await stop(t, browser);
        return "lose";
      };
      const refreshed = tab.evaluate(() => app.pawl.refresh().then(() => {}));
      await until(() => wake);
      await person.graceOver();
      wake();
      await refreshed;
      await shows(tab, "signed-in");
      assert.deepEqual(await ask([tab], 1), answers(1, person.email));
    });
  });
}
