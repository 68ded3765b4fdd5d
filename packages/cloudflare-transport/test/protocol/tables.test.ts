import type { Address } from "@signal-hub/actor-core"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, expectTypeOf, it } from "vitest"
import { FROM_HUB } from "../../src/protocol/fromHub.ts"
import type {
  Ack,
  ConnectMetadata,
  DisconnectReason,
  HubEvents,
  HubRequests,
  Register,
  Registered,
  Resume,
  Subscribe,
  TokenRefreshed,
} from "../../src/protocol/HubMessage.ts"
import { REQUESTS, rowOf, violationOfRequest } from "../../src/protocol/requests.ts"

const PAGE = join(import.meta.dirname, "../../../../docs/actor-design/protocol.md")

describe("the tables of messages", () => {
  it("have each hub:* message of the contract's page, and no other", () => {
    const named = new Set(readFileSync(PAGE, "utf8").match(/\bhub:[a-z_]+/g))
    const known = new Set([...Object.keys(REQUESTS), ...Object.keys(FROM_HUB)])
    expect([...known].toSorted()).toEqual([...named].toSorted())
  })

  it("have an answer for each request but the acknowledgement, and a request for each answer", () => {
    const answers = Object.keys(REQUESTS).flatMap((type) => rowOf(type as keyof typeof REQUESTS).answer ?? [])
    const expected = Object.entries(FROM_HUB).flatMap(([type, row]) => ("answer" in row ? [type] : []))
    expect(answers.toSorted()).toEqual(expected.toSorted())
    expect(answers).toHaveLength(Object.keys(REQUESTS).length - 1)
  })
})

describe("a client's own request", () => {
  const judge = (type: string, payload: unknown, metadata = {}) =>
    violationOfRequest({ type, payload, metadata }, { maxCapabilities: 1 })

  it("is judged by the limits that the client knows", () => {
    const actorAddress = "@(a/b)"
    expect(judge("hub:register", { actorAddress, capabilities: ["a", "b"] })?.message).toBe(
      '"capabilities" must be at most 1 strings of 1 to 256 characters',
    )
    expect(judge("hub:register", { actorAddress, ttlSeconds: 1e9 })).toBeUndefined()
    expect(judge("hub:register", { actorAddress, ttlSeconds: -1 })?.message).toBe(
      '"ttlSeconds" must be a finite number from 0',
    )
  })

  it("is left to the hub if the hub alone can judge it, or serves no such type", () => {
    expect(judge("hub:renew", 1)).toBeUndefined()
    expect(judge("hub:nonsense", 1)).toBeUndefined()
    expect(judge("constructor", 1)).toBeUndefined()
    expect(judge("hub:register", { actorAddress: "@(session/x)" })).toBeUndefined()
  })

  it("is judged in its metadata too", () => {
    expect(judge("hub:broadcast", { type: "note" }, { targetPattern: 1 })?.message).toBe(
      '"metadata.targetPattern" must be a pattern over addresses',
    )
  })
})

it("types follow from the tables", () => {
  expectTypeOf<Register>().toEqualTypeOf<{
    readonly actorAddress: Address.Address
    readonly capabilities?: ReadonlyArray<string>
    readonly metadata?: { readonly [key: string]: unknown }
    readonly ttlSeconds?: number
  }>()
  expectTypeOf<Registered>().toEqualTypeOf<{
    readonly actorAddress: Address.Address
    readonly expiresAt: number
    readonly renewalToken: string
    readonly version: number
  }>()
  expectTypeOf<Subscribe>().toEqualTypeOf<{
    readonly topic: string
    readonly durable?: boolean
    readonly presence?: boolean
  }>()
  expectTypeOf<ConnectMetadata["resume"]>().toEqualTypeOf<Resume | undefined>()
  expectTypeOf<ConnectMetadata["protocolVersion"]>().toEqualTypeOf<string>()
  expectTypeOf<Ack>().toEqualTypeOf<{
    readonly bytes: number
    readonly through: number
    readonly nonce?: string
  }>()
  expectTypeOf<HubRequests["hub:connect"]["in"]>().toEqualTypeOf<null>()
  expectTypeOf<HubRequests["hub:unregister"]["in"]>().toEqualTypeOf<{
    readonly actorAddress: Address.Address
  } | null>()
  expectTypeOf<HubRequests["hub:unsubscribe"]["in"]>().toEqualTypeOf<
    { readonly topic: string } | { readonly subscriptionId: string }
  >()
  expectTypeOf<HubRequests["hub:refresh_token"]["out"]>().toEqualTypeOf<TokenRefreshed>()
  expectTypeOf<TokenRefreshed>().toEqualTypeOf<{ readonly expiresAt: number | null }>()
  expectTypeOf<keyof HubRequests>().toEqualTypeOf<Exclude<keyof typeof REQUESTS, "hub:ack">>()
  expectTypeOf<DisconnectReason>().toEqualTypeOf<
    | "duplicate_connection"
    | "unauthorized"
    | "token_expired"
    | "heartbeat_timeout"
    | "slow_consumer"
    | "server_shutdown"
  >()
  expectTypeOf<keyof HubEvents>().toEqualTypeOf<
    | "hub:disconnect"
    | "hub:terminated"
    | "hub:presence_diff"
    | "hub:unregistered"
    | "hub:pause"
    | "hub:resume"
    | "hub:error"
    | "hub:rate_limited"
    | "hub:unknown_actor"
  >()
})
