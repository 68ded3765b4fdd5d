/** Our hub in bare workerd, open to all, every check on. */
import { join } from "node:path"
import { startWorkerd, type Workerd } from "../lib/workerd.ts"

/** Rates that no bench reaches: others have none, so they must be counted, but never be what is measured. */
export const UNHURRIED = {
  maxEnvelopesPerSecond: 1e9,
  envelopeBurst: 1e9,
  maxBytesPerSecond: 1e12,
  byteBurst: 1e12,
  maxValues: 1e9,
}

/** With the default limits where `strict`; else as fast as it can. */
export const startHub = (strict = false): Promise<Workerd> =>
  startWorkerd({
    script: join(import.meta.dirname, "signalHub.worker.ts"),
    durableObjects: { SIGNAL_HUB: "SignalHub" },
    vars: { AUTH_MODE: "open", ...(!strict && { LIMITS: JSON.stringify(UNHURRIED) }) },
  })

/** As fast as it can, and it says how many rows it has written so far. */
export const startCountingHub = async (): Promise<Workerd & { readonly rows: () => Promise<number> }> => {
  const workerd = await startWorkerd({
    script: join(import.meta.dirname, "countingHub.worker.ts"),
    durableObjects: { SIGNAL_HUB: "CountingHub" },
    vars: { AUTH_MODE: "open", LIMITS: JSON.stringify(UNHURRIED) },
  })
  const rows = async () => Number(await (await fetch(`http://127.0.0.1:${workerd.port}/rows`)).text())
  return { ...workerd, rows }
}
