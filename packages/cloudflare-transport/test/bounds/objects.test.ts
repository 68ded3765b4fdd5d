/** The same of the Durable Objects themselves: what is around the cores, with sockets, timers and calls. */
import { expect, it, vi } from "vitest"
import { Directory } from "../../src/directory/Directory.ts"
import { SessionGateway } from "../../src/gateway/SessionGateway.ts"
import { TopicHub } from "../../src/topics/TopicHub.ts"
import { SignalHub } from "../../src/hub/SignalHub.ts"
import type { HubEnv } from "../../src/object/HubEnv.ts"
import { durableState } from "../support/durableState.ts"
import { NodeSql } from "../support/NodeSql.ts"
import { collectionsOf } from "./LiveWalk.ts"
import { MEMORY } from "./table.ts"
import { unbounded } from "./unbounded.ts"

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

it("fault 70: what the objects around cores hold in memory has a bound that is written down, each of it", () => {
  vi.stubGlobal("WebSocketRequestResponsePair", Object)
  const objects = {
    hub: new SignalHub(state(), env),
    gateway: new SessionGateway(state(), env as never),
    topic: new TopicHub(state(), env as never),
    directory: new Directory(state(), env as never),
  }
  for (const object of Object.values(objects)) object.alarm()
  const found = collectionsOf(objects)
  const cores = { ...MEMORY.hub, ...MEMORY.gateway, ...MEMORY.topic, ...MEMORY.directory }
  const own = found.filter((where) => unbounded([where], cores).without.length > 0)
  expect(unbounded(own, MEMORY.objects!)).toEqual({ without: [], stale: [] })
})
