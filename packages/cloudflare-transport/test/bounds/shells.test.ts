/** The same of the Durable Objects themselves: the shells around the cores, with their sockets, timers and calls. */
import { expect, it, vi } from "vitest"
import { Directory } from "../../src/gateway/Directory.ts"
import { SessionGateway } from "../../src/gateway/SessionGateway.ts"
import { TopicHub } from "../../src/gateway/TopicHub.ts"
import { SignalHub } from "../../src/hub/SignalHub.ts"
import type { HubEnv } from "../../src/worker/HubEnv.ts"
import { NodeSql } from "../support/NodeSql.ts"
import { collectionsOf } from "./LiveWalk.ts"
import { MEMORY } from "./table.ts"
import { unbounded } from "./unbounded.ts"
import { durableState } from "./world.ts"

vi.mock("cloudflare:workers", () => ({
  DurableObject: class {
    readonly ctx: unknown
    readonly env: unknown
    constructor(ctx: unknown, env: unknown) {
      this.ctx = ctx
      this.env = env
    }
  },
}))

const state = (): DurableObjectState => durableState(new NodeSql())
const env = { AUTH_MODE: "open", LOG_LEVEL: "error" } as unknown as HubEnv

it("fault 70: what shells hold in memory has a bound that is written down, each of it", () => {
  vi.stubGlobal("WebSocketRequestResponsePair", Object)
  const shells = {
    hub: new SignalHub(state(), env),
    gateway: new SessionGateway(state(), env as never),
    topic: new TopicHub(state(), env as never),
    directory: new Directory(state(), env as never),
  }
  for (const shell of Object.values(shells)) void shell.alarm()
  const found = collectionsOf(shells)
  const cores = { ...MEMORY.hub, ...MEMORY.gateway, ...MEMORY.topic, ...MEMORY.directory }
  const own = found.filter((where) => unbounded([where], cores).without.length > 0)
  expect(unbounded(own, MEMORY.shells!)).toEqual({ without: [], stale: [] })
})
