/** The hand-written relay object in bare workerd, to which all ratios are. */
import { join } from "node:path"
import type { Subject } from "../Subject.ts"
import { relayPeer } from "../lib/rawPeer.ts"
import { startWorkerd } from "../lib/workerd.ts"

export const relay: Subject = {
  name: "relay",
  start: async () => {
    const workerd = await startWorkerd({
      script: join(import.meta.dirname, "relay.worker.ts"),
      durableObjects: { RELAY: "Relay" },
    })
    return {
      ...workerd,
      connect: (address, port = workerd.port) =>
        relayPeer(`ws://127.0.0.1:${port}/?address=${encodeURIComponent(address)}`, address),
    }
  },
}
