import { vi } from "vitest"

/** Milliseconds that a test waits for what is to come: only one that fails waits so long. */
const MAX_WAIT_MS = 10_000

/**
 * Calls `check` until it no longer throws, and returns its result. After `timeout` milliseconds it rejects with the
 * last error. The default is longer than that of Vitest, one second, which a busy machine takes.
 */
export const eventually = <A>(check: () => A | Promise<A>, timeout = MAX_WAIT_MS): Promise<A> =>
  vi.waitFor(check, { timeout })
