/** Our hub in bare workerd, open to all, every check on. */
import { join } from "node:path"
import { startWorkerd, type Workerd } from "../lib/workerd.ts"

export const startHub = (): Promise<Workerd> =>
  startWorkerd({
    script: join(import.meta.dirname, "signalHub.worker.ts"),
    durableObject: { className: "SignalHub", binding: "SIGNAL_HUB" },
    vars: { AUTH_MODE: "open" },
  })
