import { describe, expect, it } from "vitest"
import { Calls } from "../../src/delivery/Calls.ts"
import { RoutingTable } from "../../src/delivery/RoutingTable.ts"
import { CallFailed, type Outcome } from "../../src/delivery/Rpc.ts"
import type { GatewayEnv } from "../../src/object/GatewayEnv.ts"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import { callingRuntime } from "../support/callingRuntime.ts"

const table = new RoutingTable<{ readonly [binding: string]: never }>({
  routes: {
    room: { namespace: "ROOM" },
    desk: { service: "DESK" },
    clock: { run: () => 1 },
    player: { hub: "lobby" },
    guest: { hub: (address: string) => address.split(/[/)]/)[1]! },
  } as never,
})

describe("where addresses lead", () => {
  it.each([
    ["@(room/1)", { kind: "namespace", binding: "ROOM", name: "1" }],
    ["@(room/a/b)", { kind: "namespace", binding: "ROOM", name: "a/b" }],
    ["@(room/SIGNAL_HUB)", { kind: "namespace", binding: "ROOM", name: "SIGNAL_HUB" }],
    ["@(desk/1)", { kind: "service", binding: "DESK" }],
    ["@(player/ada)", { kind: "hub", name: "lobby" }],
    ["@(guest/room-7/ada)", { kind: "hub", name: "room-7" }],
    ["@(guest/room.7/ada)", { kind: "nowhere" }],
    ["@(user/ada)", { kind: "gateway" }],
    ["@(Room/1)", { kind: "gateway" }],
    ["@(__proto__/x)", { kind: "gateway" }],
    ["@(constructor/x)", { kind: "gateway" }],
    ["@(cloudflare/signal-hub)", { kind: "nowhere" }],
    ["@(session/x)", { kind: "nowhere" }],
    ["@(room/..)", { kind: "nowhere" }],
    ["@(room/a b)", { kind: "nowhere" }],
    ["@(room)", { kind: "nowhere" }],
    ["room/1", { kind: "nowhere" }],
    ["", { kind: "nowhere" }],
    [`@(room/${"x".repeat(300)})`, { kind: "nowhere" }],
  ])("fault 32: %s", (address, destination) => {
    expect(table.destination(address)).toEqual(destination)
  })

  it("fault 32: where identities are named, other types lead nowhere", () => {
    const strict = new RoutingTable({ identities: ["user"] })
    expect(strict.destination("@(user/ada)")).toEqual({ kind: "gateway" })
    expect(strict.destination("@(other/ada)")).toEqual({ kind: "nowhere" })
    expect(strict.destination("@(toString/ada)")).toEqual({ kind: "nowhere" })
  })

  it("fault 32: from a hub, what no route names is the hub's own, and what a route leads to it", () => {
    const mixed = new RoutingTable<{ readonly ROOM: never }>({
      routes: { player: { hub: "lobby" }, clock: { run: () => 1 } },
      identities: ["user"],
    })
    const places = (hub: string) =>
      (["@(player/ada)", "@(clock/1)", "@(user/ada)", "@(other/ada)", "@(constructor/x)"] as const).map(
        (address) => [mixed.isOfHub(hub, address), mixed.leadsToHub(hub, address)],
      )
    const [own, named, elsewhere] = [
      [true, true],
      [true, false],
      [false, false],
    ]
    expect(places("lobby")).toEqual([own, elsewhere, elsewhere, named, named])
    expect(places("other")).toEqual([elsewhere, elsewhere, elsewhere, named, named])
    // Without a list of identities no hub takes an address for a gateway's.
    expect(new RoutingTable({}).isOfHub("lobby", "@(user/ada)")).toBe(true)
  })

  it.each(["a/b", "", "a b", "cloudflare", "session", ".."])(
    '"%s" is no type that may have a route',
    (type) => {
      expect(() => new RoutingTable({ routes: { [type]: { run: () => 1 } } })).toThrow(
        /is no type of addresses/,
      )
    },
  )
})

/** Calls to a stub that does as it is told, one outcome after the other; the last one stays. */
const calling = (...outcomes: ReadonlyArray<unknown>) => {
  let calls = 0
  const stub = {
    deliver(this: unknown) {
      if (this !== stub) throw new TypeError("a method of nothing")
      const outcome = outcomes[Math.min(calls++, outcomes.length - 1)]
      return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome)
    },
    leases(this: unknown) {
      return stub.deliver.call(this)
    },
  }
  let [now, made] = [0, 0]
  const getByName = () => {
    made++
    return stub
  }
  const env = { SESSION_GATEWAY: { getByName } }
  const remote = new Calls({
    runtime: callingRuntime({ now: () => now, limits: { ...DEFAULT_LIMITS, callTimeout: 2_000 } }),
    env: env as unknown as GatewayEnv,
    table: new RoutingTable<GatewayEnv>(),
    answer: () => {},
  })
  const result = (method: "deliver" | "leases", repeat: boolean, to = "@(user/ada)") =>
    new Promise((done) => remote.call("address", to, method, [[]] as never, repeat, done))
  return { result, calls: () => calls, made: () => made, rest: (millis: number) => void (now += millis) }
}
const failure = (fields: object): Error => Object.assign(new Error("secret of the inside"), fields)
const TAKEN: ReadonlyArray<Outcome> = [{ status: "taken" }]

describe("calls", () => {
  it("one that the platform says may be repeated is, where repeating does no harm", async () => {
    const { calls, result } = calling(failure({ retryable: true }), failure({ retryable: true }), TAKEN)
    expect(await result("leases", true)).toEqual(TAKEN)
    expect(calls()).toBe(3)
  })

  it("one that may have had its effect is not repeated", async () => {
    const { calls, result } = calling(failure({ retryable: true }), TAKEN)
    expect(await result("deliver", false)).toMatchObject({ code: "actor_terminated" })
    expect(calls()).toBe(1)
  })

  it("an object that is overloaded is never called again", async () => {
    const { calls, result } = calling(failure({ retryable: true, overloaded: true }), TAKEN)
    expect(await result("leases", true)).toMatchObject({ code: "queue_full" })
    expect(calls()).toBe(1)
  })

  it("repeating ends", async () => {
    const { calls, result } = calling(failure({ retryable: true }))
    expect(await result("leases", true)).toMatchObject({ code: "actor_terminated" })
    expect(calls()).toBe(5)
  })

  it("an object that crashed is called again, where repeating does no harm; else what it had is not refused for good", async () => {
    const reset = failure({ remote: true, durableObjectReset: true })
    expect(await calling(reset, TAKEN).result("leases", true)).toEqual(TAKEN)
    expect(await calling(reset).result("deliver", false)).toMatchObject({ code: "actor_terminated" })
  })

  it("what the other side says of its inside is told to nobody", async () => {
    const failed = (await calling(failure({ remote: true })).result("deliver", false)) as CallFailed
    expect(failed.code).toBe("actor_failed")
    expect(failed.message).not.toContain("secret")
  })

  it("a stub is a connection: it is kept for the next call", async () => {
    const { made, rest, result } = calling(TAKEN)
    for (let n = 0; n < 5; n++) {
      await result("deliver", false)
      await result("leases", true)
      rest(90)
    }
    expect(made()).toBe(1)
    await result("deliver", false, "@(user/bob)")
    expect(made()).toBe(2)
  })

  it("one has a call at a time, as all of them fail with what breaks it", async () => {
    const { made, result } = calling(TAKEN)
    await Promise.all([result("deliver", false), result("deliver", false)])
    expect(made()).toBe(2)
    await Promise.all([result("deliver", false), result("deliver", false)])
    expect(made()).toBe(3)
  })

  it("one that failed is not used again, for a repetition neither", async () => {
    const { made, result } = calling(TAKEN, failure({}), TAKEN, failure({ retryable: true }), TAKEN)
    for (let n = 0; n < 3; n++) await result("deliver", false)
    expect(made()).toBe(2)
    expect(await result("leases", true)).toEqual(TAKEN)
    expect(made()).toBe(3)
  })

  it("one that rested is not used again", async () => {
    const { made, rest, result } = calling(TAKEN)
    await result("deliver", false)
    rest(101)
    await result("deliver", false)
    expect(made()).toBe(2)
  })

  it("there are not more of them than 64", async () => {
    const { made, result } = calling(TAKEN)
    for (let n = 0; n < 65; n++) await result("deliver", false, `@(user/u${n})`)
    await result("deliver", false, "@(user/u1)")
    expect(made()).toBe(65)
    await result("deliver", false, "@(user/u0)")
    expect(made()).toBe(66)
    // That was in place of the one whose last use is longest ago.
    await result("deliver", false, "@(user/u1)")
    await result("deliver", false, "@(user/u2)")
    expect(made()).toBe(67)
  })
})
