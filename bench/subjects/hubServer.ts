/** Our hub in bare workerd, open to all, every check on. */
import { join } from "node:path"
import { startWorkerd, type Workerd } from "../lib/workerd.ts"

/** A rate that no bench reaches: others have none, so it must be counted, but never be what is measured. */
export const UNHURRIED = { maxEnvelopesPerSecond: 1e9, envelopeBurst: 1e9 }

/** With the default limits where `strict`; else as fast as it can. */
export const startHub = (strict = false): Promise<Workerd> =>
  startWorkerd({
    script: join(import.meta.dirname, "signalHub.worker.ts"),
    durableObjects: { SIGNAL_HUB: "SignalHub" },
    vars: { AUTH_MODE: "open", ...(!strict && { LIMITS: JSON.stringify(UNHURRIED) }) },
  })
