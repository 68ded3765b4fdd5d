/** partyserver in bare workerd; a connection's id, which it takes from the URL, is its address. */
import { join } from "node:path"
import type { Subject } from "../Subject.ts"
import { relayPeer } from "../lib/rawPeer.ts"
import { startWorkerd } from "../lib/workerd.ts"

export const partyserver: Subject = {
  name: "partyserver",
  start: async () => {
    const workerd = await startWorkerd({
      script: join(import.meta.dirname, "partyserver.worker.ts"),
      durableObjects: { RELAY: "PartyRelay" },
    })
    return {
      ...workerd,
      connect: (address, port = workerd.port) =>
        relayPeer(`ws://127.0.0.1:${port}/?_pk=${encodeURIComponent(address)}`, address),
    }
  },
}
