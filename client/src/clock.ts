// Time, as the client sees it.

/** Tests bring their own. */
export interface Clock {
  /** Milliseconds that only ever grow. */
  now(): number;
  /** Milliseconds of the wall clock, which all tabs share and which somebody may set. */
  wall(): number;
  /** Calls `work` once, `ms` milliseconds from now, or soon if that has passed; the answer cancels it. */
  after(ms: number, work: () => void): () => void;
}

/** The machine's monotonic clock: setting the wall clock changes nothing. It may stand still while a laptop sleeps. */
export const machineClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
};
