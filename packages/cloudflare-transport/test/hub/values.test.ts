/** What a hub keeps of values, and shows again, is what came: whatever its keys, and after eviction. */
import { describe, expect, it } from "vitest"
import { fromRow, type StoredValue } from "../../src/object/StoredValue.ts"
import { TestHub } from "../support/TestHub.ts"

const hostile = (): { readonly [key: string]: unknown } =>
  JSON.parse('{"constructor":1,"toJSON":1,"then":1,"__proto__":{"x":1}}')

describe("metadata that a hub keeps", () => {
  const kept = { at: new Date(5), hostile: hostile(), bytes: Uint8Array.of(1, 2, 3) }

  it("faults 47, 65: of a registration is found as it was registered, after eviction too", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    client.register("@(node/a)", { metadata: kept })
    const found = () => client.request("hub:discover", { pattern: "@(node/a)" }).payload.actors
    const before = found()
    hub.evict()
    expect(found()).toEqual(before)
    const [row] = hub.sql.all<{ metadata: StoredValue }>("SELECT metadata FROM registration")
    const metadata = fromRow(row!.metadata) as typeof kept
    expect(metadata).toEqual(kept)
    expect(Object.keys(metadata.hostile)).toEqual(Object.keys(hostile()))
  })

  it("faults 47, 65: of a client is shown as it was connected with, after eviction too", () => {
    const hub = new TestHub()
    const client = hub.open()
    client.connect("@(node/a)", { clientMetadata: kept })
    client.subscribe("room", { presence: true })
    const members = () => client.request("hub:presence", { topic: "room" }).payload.members
    const before = members()
    hub.evict()
    expect(members()).toEqual(before)
    const [row] = hub.sql.all<{ metadata: StoredValue }>("SELECT metadata FROM session")
    expect(fromRow(row!.metadata)).toEqual(kept)
  })

  it("is no deeper than what shows it may be, so that nobody who looks gets a malformed message", () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) })
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    expect(client.register("@(node/a)", { metadata: nested(125) })).toMatchObject({
      type: "hub:error",
      payload: { code: "invalid_message", message: expect.stringMatching(/metadata.*nested deeper/) },
    })
    expect(client.register("@(node/a)", { metadata: nested(100) })).toMatchObject({ type: "hub:registered" })
    expect(hub.open().connect("@(node/b)", { clientMetadata: nested(124) })).toMatchObject({
      payload: { code: "invalid_message" },
    })
  })
})
