/** A token that expires while its connection lives. What becomes of a refused one is in `faults.test.ts`. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { FakeNetwork } from "./support/FakeNetwork.ts"
import { connected, standardAnswer } from "./support/FakeNetwork.ts"
import { connect, LoginRequired } from "../../src/client/index.ts"
import { begin, outcome, pass, run, settle } from "./support/harness.ts"

/** By how much the hub's clock is ahead of ours, in milliseconds. */
const AHEAD = 7_000_000

/** A hub whose tokens are good for `lifetime` ms from when they are presented, as its clock says. */
const expiring = (network: FakeNetwork, lifetime: number, now: () => number) => {
  const state = { lifetime, refuses: 0, presented: [] as Array<unknown> }
  network.onSocket = (socket) => {
    socket.answers = (request) => {
      const timestamp = now() + AHEAD
      if (request.type === "hub:connect") {
        const { payload, type } = connected()
        const metadata = { actorIdentity: "@(test/me)", tokenExpiresAt: timestamp + state.lifetime }
        return { type, payload, envelope: { metadata, timestamp } }
      }
      if (request.type !== "hub:refresh_token") return standardAnswer(request)
      state.presented.push((request.payload as { readonly token: unknown }).token)
      if (state.refuses-- > 0) {
        return { type: "hub:unauthorized", payload: { action: "hub:refresh_token", reason: "no" } }
      }
      return {
        type: "hub:token_refreshed",
        payload: { expiresAt: timestamp + state.lifetime },
        envelope: { timestamp },
      }
    }
  }
  return state
}

const meet = (lifetime: number, token: (asked: number) => string | undefined | Promise<string | undefined>) =>
  Effect.gen(function* () {
    const asked: Array<boolean> = []
    let elapsed = 0
    const made = yield* begin({
      token: ({ refused }) => {
        asked.push(refused)
        return token(asked.length)
      },
    })
    const hub = expiring(made.network, lifetime, () => elapsed)
    made.network.onSocket(made.network.last)
    made.network.last.open()
    yield* settle
    const later = (ms: number) => {
      elapsed += ms
      return pass(ms)
    }
    return { ...made, hub, asked, later }
  })

describe("a token that expires", () => {
  it.effect(
    "fault 17: is replaced on the live connection before it does, by the hub's clock, again and again",
    () =>
      Effect.gen(function* () {
        const { asked, hub, later, network } = yield* meet(100_000, (n) => `token-${n}`)
        yield* later(74_999)
        expect(hub.presented).toEqual([])
        yield* later(1)
        expect(hub.presented).toEqual(["token-2"])
        expect(asked).toEqual([false, true])
        yield* later(75_000)
        expect(hub.presented).toEqual(["token-2", "token-3"])
        expect(network.sockets).toHaveLength(1)
      }),
  )

  it.effect("is replaced a minute before, where it is good for long", () =>
    Effect.gen(function* () {
      const { hub, later } = yield* meet(3_600_000, (n) => `token-${n}`)
      for (let minutes = 0; minutes < 58; minutes++) yield* later(60_000)
      yield* later(59_999)
      expect(hub.presented).toEqual([])
      yield* later(1)
      expect(hub.presented).toEqual(["token-2"])
    }),
  )

  it.effect(
    "is tried to be replaced again where the provider fails or the hub refuses, until it is over",
    () =>
      Effect.gen(function* () {
        const { asked, hub, later } = yield* meet(64_000, (n) => {
          if (n === 2) throw new Error("no network")
          return `token-${n}`
        })
        hub.refuses = 1
        yield* later(48_000)
        expect(asked).toHaveLength(2)
        yield* later(12_000)
        expect(hub.presented).toEqual(["token-3"])
        yield* later(3_000)
        expect(hub.presented).toEqual(["token-3", "token-4"])
        // The last one was taken: its own time counts now.
        yield* later(47_999)
        expect(asked).toHaveLength(4)
        yield* later(1)
        expect(asked).toHaveLength(5)
      }),
  )

  it.effect("does not lead to a storm of attempts at its end", () =>
    Effect.gen(function* () {
      const { asked, hub, later, network } = yield* meet(60_000, (n) => `token-${n}`)
      hub.refuses = Infinity
      for (let second = 0; second < 60; second++) yield* later(1_000)
      expect(asked.length).toBeLessThan(8)
      const before = asked.length
      network.last.say("hub:disconnect", { reason: "token_expired", message: "expired" })
      network.last.drop(4401)
      yield* later(250)
      expect(asked.slice(before)).toEqual([true])
      expect(network.sockets).toHaveLength(2)
    }),
  )

  it.effect("is fetched once, even where the connection is lost while it is", () =>
    Effect.gen(function* () {
      const fetched = Promise.withResolvers<string>()
      const { asked, hub, later, network } = yield* meet(100_000, (n) =>
        n === 1 ? "token-1" : fetched.promise,
      )
      yield* later(75_000)
      expect(asked).toHaveLength(2)
      network.last.drop(1006)
      yield* later(250)
      expect(asked).toHaveLength(2)
      fetched.resolve("token-2")
      yield* settle
      expect(network.last.protocols).toContain("signal-hub.bearer.token-2")
      expect(hub.presented).toEqual([])
    }),
  )

  it.effect("as a text can't be replaced: the hub is not asked", () =>
    Effect.gen(function* () {
      const { network } = yield* begin({ token: "token" })
      const hub = expiring(network, 10_000, () => 0)
      network.onSocket(network.last)
      network.last.open()
      yield* pass(10_000)
      expect(hub.presented).toEqual([])
    }),
  )

  it.effect("is left alone once the client is closed", () =>
    Effect.gen(function* () {
      const { asked, client, later } = yield* meet(10_000, (n) => `token-${n}`)
      yield* client.close
      yield* later(60_000)
      expect(asked).toHaveLength(1)
    }),
  )
})

describe("a token that only a login can bring", () => {
  const login = new LoginRequired({ message: "the login is over" })

  it.effect("fault 17: ends all attempts at the first connect, without a socket", () =>
    Effect.gen(function* () {
      let asked = 0
      const { client, network, state } = yield* begin({
        token: async () => {
          asked++
          throw login
        },
      })
      const ready = yield* run(client.ready)
      yield* pass(600_000)
      expect(asked).toBe(1)
      expect(network.sockets).toHaveLength(0)
      expect(state()).toMatchObject({ status: "disconnected", code: 4401, error: login })
      expect(outcome(ready)).toMatchObject({ _tag: "ConnectFailed", code: 4401, cause: login })
    }),
  )

  it.effect("fault 17: ends all attempts at a reconnect, too, and what waits is handed back", () =>
    Effect.gen(function* () {
      const { asked, client, later, network, state } = yield* meet(3_600_000, (n) => {
        if (n === 1) return "token-1"
        throw login
      })
      network.last.drop(1006)
      yield* settle
      yield* client.tell("@(test/ada)", "waits", 1)
      yield* later(600_000)
      expect(asked).toEqual([false, false])
      expect(network.sockets).toHaveLength(1)
      expect(state()).toMatchObject({
        status: "disconnected",
        code: 4401,
        error: login,
        undelivered: [{ type: "waits" }],
      })
    }),
  )

  it.effect("fault 17: leaves a connection whose token is valid, until the hub ends it", () =>
    Effect.gen(function* () {
      const { asked, later, network, state } = yield* meet(100_000, (n) => {
        if (n === 1) return "token-1"
        throw login
      })
      yield* later(99_000)
      expect(asked).toEqual([false, true])
      expect(state()).toMatchObject({ status: "connected" })
      network.last.drop(4401)
      yield* later(600_000)
      expect(asked).toEqual([false, true, true])
      expect(network.sockets).toHaveLength(1)
      expect(state()).toMatchObject({ status: "disconnected", code: 4401, error: login })
    }),
  )

  it.effect("any other failure of the provider is tried again", () =>
    Effect.gen(function* () {
      const { network } = yield* begin({
        token: (() => {
          let asked = 0
          return () => {
            if (asked++ < 3) throw new Error("the network is down")
            return "token"
          }
        })(),
      })
      yield* pass(3_000)
      expect(network.sockets.length).toBeGreaterThan(0)
    }),
  )

  it("rejects connect, also where it would wait", async () => {
    for (const waitOnFirstConnect of [false, true]) {
      const failed = connect("ws://hub.test", {
        waitOnFirstConnect,
        token: () => Promise.reject(login),
        webSocket: () => {
          throw new Error("no socket is opened")
        },
      })
      await expect(failed).rejects.toMatchObject({ _tag: "ConnectFailed", code: 4401, cause: login })
    }
  })
})
