/** Our gateways in bare workerd, and hubs beside them, open to all, every check on. */
import { join } from "node:path"
import { startWorkerd, type Workerd } from "../lib/workerd.ts"
import { UNHURRIED } from "./hubServer.ts"

export const startGateways = (storage?: string): Promise<Workerd> =>
  startWorkerd({
    script: join(import.meta.dirname, "gateway.worker.ts"),
    durableObjects: {
      SIGNAL_HUB: "SignalHub",
      SESSION_GATEWAY: "SessionGateway",
      TOPIC_HUB: "TopicHub",
      DIRECTORY: "Directory",
      COUNTER: "CounterActor",
    },
    ...(storage !== undefined && { storage }),
    vars: { AUTH_MODE: "open", LIMITS: JSON.stringify({ ...UNHURRIED, maxSessions: 20_000 }) },
  })

export const gatewayUrl = ({ port }: Workerd, identity: string): string =>
  `ws://127.0.0.1:${port}/gateway?identity=${encodeURIComponent(identity)}`
