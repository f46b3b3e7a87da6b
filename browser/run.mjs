// Runs every case: `scripts/with-services node browser/run.mjs`, or `make browser`.

import { after, before, describe } from "node:test";
import { attackCases } from "./cases/attack.mjs";
import { endCases } from "./cases/end.mjs";
import { exampleCases } from "./cases/example.mjs";
import { explorerCases } from "./cases/explorer.mjs";
import { refreshCases } from "./cases/refresh.mjs";
import { sleepCases } from "./cases/sleep.mjs";
import { tabCases } from "./cases/tabs.mjs";
import { openWorld } from "./world/world.mjs";

const world = {};

describe("Pawl in a browser", { concurrency: 8, timeout: 300_000 }, () => {
  before(async () => Object.assign(world, await openWorld()));
  after(() => world.close?.());
  tabCases(world);
  sleepCases(world);
  refreshCases(world);
  endCases(world);
  attackCases(world);
  exampleCases(world);
  explorerCases(world);
});
