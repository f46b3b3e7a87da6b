// A clock that only moves when told, and browsers whose tabs share what real ones share.

import { createClient, type Channel, type ClientOptions, type Clock, type Locks, type PawlClient } from "../src/index.js";
import { FakeServer } from "./server.js";

export class FakeClock implements Clock {
  #now = 1000;
  #wallAhead = 1_700_000_000_000;
  #timers: { at: number; work: () => void }[] = [];

  now = (): number => this.#now;

  wall = (): number => this.#now + this.#wallAhead;

  after = (ms: number, work: () => void): (() => void) => {
    const timer = { at: this.#now + Math.max(0, ms), work };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** Time passes that nothing notices: no timer fires by itself. */
  skip(ms: number): void {
    this.#now += ms;
  }

  /** The wall clock goes on alone, as while a laptop sleeps; or is set, back with a negative number. */
  sleep(ms: number): void {
    this.#wallAhead += ms;
  }

  /** Lets `ms` milliseconds pass, with all that happens meanwhile. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await idle();
      const next = this.#next();
      if (!next || next.at > end) break;
      this.#fire(next);
    }
    this.#now = Math.max(this.#now, end);
    await idle();
  }

  /** Lets time pass until `promise` has its answer. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let over = false;
    const done = () => void (over = true);
    promise.then(done, done);
    for (let steps = 0; !over; steps++) {
      await idle();
      const next = this.#next();
      if (!over && next) this.#fire(next);
      if (steps > 1000) throw new Error("nothing comes of it: 1000 steps without an answer");
    }
    return promise;
  }

  #next() {
    return this.#timers.reduce<{ at: number; work: () => void } | undefined>(
      (first, timer) => (!first || timer.at < first.at ? timer : first),
      undefined,
    );
  }

  #fire(timer: { at: number; work: () => void }): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
    this.#now = Math.max(this.#now, timer.at);
    timer.work();
  }
}

/** Everything that can happen without time passing has happened. */
async function idle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((done) => setImmediate(done));
}

/** Web Locks of one origin. */
export class FakeLocks implements Locks {
  #queues = new Map<string, Promise<unknown>>();
  #held = new Set<string>();

  async request<T>(
    name: string,
    { ifAvailable, signal }: { ifAvailable?: boolean; signal?: AbortSignal },
    work: (lock: unknown) => Promise<T>,
  ): Promise<T> {
    if (ifAvailable && this.#held.has(name)) return work(null);
    const before = this.#queues.get(name) ?? Promise.resolve();
    let release = () => {};
    const mine = new Promise<void>((done) => (release = done));
    this.#queues.set(name, before.then(() => mine));
    if (!ifAvailable || this.#held.has(name)) await Promise.race([before, aborted(signal)]);
    this.#held.add(name);
    try {
      return await work({ name });
    } finally {
      this.#held.delete(name);
      release();
    }
  }

  /** As a tab that hangs with the lock in its hand. */
  hang(name: string): void {
    void this.request(name, {}, () => new Promise(() => {}));
  }
}

const aborted = (signal?: AbortSignal): Promise<never> =>
  new Promise((_, fail) => signal?.addEventListener("abort", () => fail(signal.reason)));

/** BroadcastChannels of one origin; a message takes a millisecond. */
export class FakeHub {
  readonly messages: any[] = [];
  #members = new Set<Channel>();

  constructor(readonly clock: Clock) {}

  join(): Channel {
    const channel: Channel = {
      onmessage: null,
      postMessage: (message) => {
        if (!this.#members.has(channel)) throw new DOMException("the channel is closed", "InvalidStateError");
        const data = structuredClone(message);
        this.messages.push(data);
        for (const other of this.#members) {
          if (other !== channel) this.clock.after(1, () => this.#members.has(other) && other.onmessage?.({ data }));
        }
      },
      close: () => void this.#members.delete(channel),
    };
    this.#members.add(channel);
    return channel;
  }
}

export class FakeStorage {
  readonly values = new Map<string, string>();
  readonly log: string[] = [];

  async get(key: string): Promise<string | null> {
    return this.values.get(key) ?? null;
  }
  async set(key: string, value: string): Promise<void> {
    this.log.push(`set ${key}`);
    this.values.set(key, value);
  }
  async remove(key: string): Promise<void> {
    if (this.values.delete(key)) this.log.push(`remove ${key}`);
  }
}

/** One browser with its cookie jar. */
export class World {
  readonly clock = new FakeClock();
  readonly server = new FakeServer(this.clock);
  readonly jar: { cookie?: string } = {};
  readonly storage = new FakeStorage();
  readonly locks = new FakeLocks();
  readonly hub = new FakeHub(this.clock);

  get fetch(): typeof fetch {
    return this.server.fetch(this.jar);
  }

  tab(options: Partial<ClientOptions> = {}): PawlClient {
    return createClient({
      url: "https://pawl.test/graphql",
      storage: this.storage,
      fetch: this.fetch,
      clock: this.clock,
      locks: this.locks,
      channel: options.channel === undefined ? this.hub.join() : options.channel,
      ...options,
    });
  }

  /** A tab of an app: the refresh token is in the app's own storage. */
  app(options: Partial<ClientOptions> = {}): PawlClient {
    return this.tab({ delivery: "BODY", locks: null, channel: null, ...options });
  }

  /** Tabs that all know the same session, with an access token each. */
  async signedIn(count: number, options: Partial<ClientOptions> = {}): Promise<PawlClient[]> {
    const tabs = Array.from({ length: count }, () => this.tab(options));
    await this.clock.until(tabs[0]!.login(person));
    for (const tab of tabs) await this.clock.until(tab.getAccessToken());
    await this.clock.advance(20_000);
    this.server.log.length = 0;
    return tabs;
  }
}

export const person = { email: "ann@example.com", password: "correct" };

/** Over the lifetime of an access token of the fake server. */
export const EXPIRY = 900_000;
