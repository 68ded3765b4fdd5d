/** Clients of one process for one identity: mount, unmount, mount, as React's StrictMode does. */
import { Buffer } from "node:buffer"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { connect, HubClient, type ClientOptions } from "../../src/client/index.ts"
import { FakeNetwork, standardAnswer } from "./support/FakeNetwork.ts"
import { pass, settle } from "./support/harness.ts"

const URL_OF_HUB = "https://mounting.test/ws"
const ADA = "@(user/ada)"
const turn = (): Promise<void> => new Promise((next) => void setImmediate(next))

/** A token that nobody signed, with these claims. */
const tokenOf = (claims: object, sign = "s"): string =>
  `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.${sign}`

/** Clients on one network, in the order in which they began. */
const clients = (...all: ReadonlyArray<Partial<ClientOptions>>) =>
  Effect.gen(function* () {
    const network = new FakeNetwork()
    const made = []
    for (const options of all) {
      const scope = yield* Scope.fork(yield* Effect.scope)
      const client = yield* Scope.provide(
        HubClient.make({ url: URL_OF_HUB, webSocket: network.open, wakeups: [], ...options }),
        scope,
      )
      made.push({ close: Scope.close(scope, Exit.void), state: () => Effect.runSync(client.state).status })
    }
    yield* settle
    return { made, network }
  })

describe("fault 61: who connects later says hub:connect after who connected earlier", () => {
  it.effect("not before the earlier one is answered", () =>
    Effect.gen(function* () {
      const { made, network } = yield* clients({ identity: ADA }, { identity: ADA }, { identity: ADA })
      expect(network.sockets).toHaveLength(1)
      network.last.open()
      yield* settle
      expect(made.map(({ state }) => state())).toEqual(["connected", "connecting", "connecting"])
      expect(network.sockets).toHaveLength(2)
      network.last.answers = (request) =>
        request.type === "hub:connect" ? undefined : standardAnswer(request)
      network.last.open()
      yield* settle
      expect(network.last.types).toEqual(["hub:connect"])
      expect(network.sockets).toHaveLength(2)
      // It gives up, and so does the time that it may take.
      yield* pass(5_000)
      expect(network.sockets.length).toBeGreaterThan(2)
      network.sockets[2]!.open()
      yield* settle
      expect(made[2]!.state()).toBe("connected")
    }),
  )

  it.effect("of one that is told to close in line, nothing is sent, and those behind it go on", () =>
    Effect.gen(function* () {
      const { made, network } = yield* clients({ identity: ADA }, { identity: ADA }, { identity: ADA })
      yield* made[1]!.close
      expect(network.sockets).toHaveLength(1)
      yield* made[0]!.close
      yield* settle
      expect(network.sockets).toHaveLength(2)
      expect(network.sockets[0]!.types).toEqual([])
      network.last.open()
      yield* settle
      expect(made[2]!.state()).toBe("connected")
    }),
  )

  it.effect("others do not wait: another identity, another URL, and who has none", () =>
    Effect.gen(function* () {
      const { network } = yield* clients(
        { identity: ADA },
        { identity: "@(user/ben)" },
        { identity: ADA, url: "https://mounting.test/ws/other" },
        {},
        {},
        { token: tokenOf({ actorId: "user/cy" }) },
        { token: tokenOf({ sub: "dan" }) },
        { token: "opaque" },
      )
      expect(network.sockets).toHaveLength(8)
    }),
  )

  it.effect("the identity of a token is that of its claims", () =>
    Effect.gen(function* () {
      const { network } = yield* clients(
        { token: tokenOf({ actorId: "user/ada", iat: 1 }, "first") },
        { token: tokenOf({ actorId: "user/ada", iat: 2 }, "second") },
        { token: tokenOf({ sub: "user/ada" }, "third") },
      )
      expect(network.sockets).toHaveLength(1)
      network.last.open()
      yield* settle
      expect(network.sockets).toHaveLength(2)
    }),
  )

  it.effect("the order is that of the calls, also where the later one has its token first", () =>
    Effect.gen(function* () {
      const first = Promise.withResolvers<string>()
      const second = Promise.withResolvers<string>()
      const { network } = yield* clients({ token: () => first.promise }, { token: () => second.promise })
      second.resolve(tokenOf({ actorId: "user/ada" }, "second"))
      yield* settle
      expect(network.sockets).toHaveLength(0)
      first.resolve(tokenOf({ actorId: "user/ada" }, "first"))
      yield* settle
      expect(network.sockets.map(({ protocols }) => String(protocols[1]).endsWith("first"))).toEqual([true])
      network.last.open()
      yield* settle
      expect(network.sockets).toHaveLength(2)
    }),
  )

  it.effect("a token provider that takes long holds up nobody else for more than 2 s", () =>
    Effect.gen(function* () {
      const { network } = yield* clients(
        { token: () => new Promise<string>(() => {}) },
        { token: () => Promise.resolve(tokenOf({ actorId: "user/ben" })) },
      )
      expect(network.sockets).toHaveLength(0)
      yield* pass(1_999)
      expect(network.sockets).toHaveLength(0)
      yield* pass(1)
      expect(network.sockets).toHaveLength(1)
    }),
  )

  it.effect(
    "a client that comes back waits in line like any other, and holds up nobody while it waits to try",
    () =>
      Effect.gen(function* () {
        const { made, network } = yield* clients({ identity: ADA })
        network.last.open()
        yield* settle
        network.last.drop(1006)
        yield* settle
        const later = yield* clients({ identity: ADA })
        expect(later.network.sockets).toHaveLength(1)
        yield* pass(1_000)
        expect(network.sockets).toHaveLength(1)
        later.network.last.open()
        yield* settle
        expect(later.made[0]!.state()).toBe("connected")
        expect(network.sockets).toHaveLength(2)
        expect(made[0]!.state()).toBe("reconnecting")
      }),
  )

  it("mount, unmount, mount: the page is connected, whichever socket opens first", async () => {
    for (const delays of [
      [0, 0],
      [3, 0],
      [0, 3],
    ]) {
      const network = new FakeNetwork()
      let holder: string | undefined
      network.onSocket = (socket) => {
        const n = network.sockets.length
        socket.answers = (request) => {
          if (request.type === "hub:connect") holder = `socket ${n}`
          return standardAnswer(request)
        }
        void (async () => {
          for (let turns = delays[n - 1]!; turns >= 0; turns--) await turn()
          socket.open()
        })()
      }
      const options = { identity: ADA, webSocket: network.open, wakeups: [] } as const
      const closed = connect(URL_OF_HUB, options).then((hub) => hub.close())
      const hub = await connect(URL_OF_HUB, options)
      await closed
      expect(hub.state.status).toBe("connected")
      expect(holder).toBe("socket 2")
      await hub.close()
    }
  })
})
