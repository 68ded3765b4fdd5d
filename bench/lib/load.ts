/** Loads that are held between slices, and the probes that they are measured in. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Probe } from "../Suite.ts"
import { processorTime } from "./usage.ts"

/** Milliseconds. */
const WARM_UP = 800
export const SLICE = 300

/** A load that can be held: what is on its way then arrives, and nothing follows it. */
export interface Load {
  readonly start: () => void
  readonly stop: () => void
  /** How much arrived so far. */
  readonly arrived: () => number
}

/** What arrives in a slice, a second, and the processor time that it costs the server, each. */
export const measureLoad = async (server: { readonly pid: number }, load: Load) => {
  load.start()
  // The first frames find everything asleep.
  await sleep(SLICE / 10)
  const [count, time, cpu] = [load.arrived(), performance.now(), processorTime(server.pid)]
  await sleep(SLICE)
  const passed = load.arrived() - count
  const perSecond = (passed * 1_000) / (performance.now() - time)
  const serverCpu = (processorTime(server.pid) - cpu) / passed
  await hold(load)
  if (passed === 0) throw new Error("nothing arrives any more")
  return { perSecond, serverCpu }
}

export const warmUp = async (load: Load, milliseconds = WARM_UP) => {
  load.start()
  await sleep(milliseconds)
  await hold(load)
}

/** Stops the load and waits until nothing arrives any more. */
export const hold = async ({ stop, arrived }: Load) => {
  stop()
  for (let before = -1; before !== arrived();) {
    before = arrived()
    await sleep(20)
  }
}

/** The probe, which owns what is on the stack; what is there already goes if making the probe fails. */
export const probe = async (
  make: (stack: AsyncDisposableStack) => Promise<Probe["slice"]>,
): Promise<Probe> => {
  await using stack = new AsyncDisposableStack()
  const slice = await make(stack)
  const owned = stack.move()
  return { slice, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
