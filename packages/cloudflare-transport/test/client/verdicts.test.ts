/** The ends of connections that aren't the hub's own, and the client's verdicts on them. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import { connect } from "../../src/client/index.ts"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import { FakeNetwork, type FakeSocket } from "./support/FakeNetwork.ts"
import { begin, outcome, pass, run, settle, start } from "./support/harness.ts"

const ADA = "@(test/ada)"

describe("a close with 1000", () => {
  it.effect("fault 54: by a proxy that finds the connection idle, is a lost connection", () =>
    Effect.gen(function* () {
      const { client, network, state } = yield* start()
      network.last.drop(1000, "idle timeout")
      expect(state()).toMatchObject({ status: "reconnecting", code: 1000, cause: "idle timeout" })
      yield* client.tell(ADA, "n", 1)
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(state().status).toBe("connected")
      expect(network.last.sent.at(-1)).toMatchObject({ to: ADA, payload: 1 })
    }),
  )

  it.effect("fault 54: before the hub has accepted, is a failed attempt", () =>
    Effect.gen(function* () {
      const { network, state } = yield* begin()
      network.last.open().drop(1000)
      expect(state()).toMatchObject({ status: "reconnecting", code: 1000 })
      yield* pass(250)
      expect(network.sockets).toHaveLength(2)
    }),
  )

  it.effect("after the hub's goodbye ends the client", () =>
    Effect.gen(function* () {
      const { network, state } = yield* start()
      network.last.say("hub:disconnect", { reason: "closed_by_operator", message: "go home" })
      network.last.drop(1000)
      yield* pass(3_600_000)
      expect(network.sockets).toHaveLength(1)
      expect(state()).toMatchObject({ status: "disconnected", cause: "closed_by_operator: go home" })
    }),
  )

  it.effect("after a goodbye that the program asked for itself ends the client", () =>
    Effect.gen(function* () {
      for (const pattern of ["ask", "tell"] as const) {
        const { client, network, state } = yield* start()
        const said = yield* run(
          pattern === "ask"
            ? client.ask(HUB_ADDRESS, "hub:disconnect", {})
            : client.tell(HUB_ADDRESS, "hub:disconnect", {}),
        )
        yield* pass(3_600_000)
        expect(outcome(said)).not.toBe("waiting")
        expect(network.sockets).toHaveLength(1)
        expect(state()).toMatchObject({ status: "disconnected", code: 1000, cause: "normal" })
      }
    }),
  )

  it.effect("fault 54: a goodbye of one connection says nothing of the next", () =>
    Effect.gen(function* () {
      const { network, state } = yield* start()
      network.last.say("hub:disconnect", { reason: "server_shutdown", message: "a drain" })
      network.last.drop(1012)
      yield* pass(250)
      network.last.open()
      yield* settle
      network.last.drop(1000)
      expect(state()).toMatchObject({ status: "reconnecting", code: 1000 })
    }),
  )
})

describe("fault 56: the cause of an attempt that no hub answers", () => {
  const ended = (end: (socket: FakeSocket) => void) =>
    Effect.gen(function* () {
      const { network, state } = yield* begin()
      end(network.last)
      const now = state()
      return now.status === "reconnecting" ? now.cause : now.status
    })

  it.effect("a socket that never opens names a wrong path, a portal and a lost subprotocol", () =>
    Effect.gen(function* () {
      const cause = yield* ended((socket) => socket.drop(1006))
      expect(cause).toMatch(/before it was open:.*path.*captive portal.*Sec-WebSocket-Protocol/)
    }),
  )

  it.effect("the platform's own words are in it, where it has some", () =>
    Effect.gen(function* () {
      const cause = yield* ended((socket) => {
        socket.emit("error", { message: "Unexpected server response: 404" })
        socket.drop(1006)
      })
      expect(cause).toContain("(Unexpected server response: 404)")
    }),
  )

  it.effect("a reason that the close gives is the cause", () =>
    Effect.gen(function* () {
      expect(yield* ended((socket) => socket.drop(1013, "try again later"))).toBe("try again later")
    }),
  )

  it.effect("a connection that was open and is lost is just that", () =>
    Effect.gen(function* () {
      expect(yield* ended((socket) => socket.open().drop(1006))).toBe("connection lost")
    }),
  )

  it.effect("a msgpack client that no subprotocol was chosen for says so, and tries again", () =>
    Effect.gen(function* () {
      const { network, state } = yield* begin({ codec: "msgpack" })
      yield* settle
      network.last.protocol = ""
      network.last.open()
      expect(network.last.sent).toEqual([])
      expect(state()).toMatchObject({
        status: "reconnecting",
        cause: expect.stringMatching(
          /signal-hub\.msgpack was offered, and "" chosen.*Sec-WebSocket-Protocol/,
        ),
      })
    }),
  )

  it.effect("a JSON client goes on without one, and not with another one", () =>
    Effect.gen(function* () {
      const { network, state } = yield* begin()
      network.last.protocol = ""
      network.last.open()
      yield* settle
      expect(state().status).toBe("connected")

      const other = yield* begin()
      other.network.last.protocol = "graphql-ws"
      other.network.last.open()
      expect(other.state()).toMatchObject({ cause: expect.stringContaining('"graphql-ws" chosen') })
    }),
  )
})

describe("fault 56: an outage", () => {
  /** Lines that the client logs. */
  const logged = <A, E, R>(test: (lines: Array<string>) => Effect.Effect<A, E, R>) => {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      lines.push(`${logLevel}: ${String(message)}`)
    })
    return Effect.provide(test(lines), Logger.layer([logger]))
  }

  it.effect("is in state and health with its last cause, until there is a connection", () =>
    Effect.gen(function* () {
      const { client, network } = yield* begin()
      expect(yield* client.health).toMatchObject({ code: null, cause: null })
      network.last.drop(1013, "the first")
      expect(yield* client.health).toMatchObject({ code: 1013, cause: "the first", attempts: 1 })
      yield* pass(250)
      // Also while the next attempt is under way.
      expect(yield* client.state).toMatchObject({ retryInMs: 0, code: 1013, cause: "the first" })
      network.last.drop(1006, "the second")
      expect(yield* client.state).toMatchObject({ code: 1006, cause: "the second" })
      expect(yield* client.health).toMatchObject({ code: 1006, cause: "the second", attempts: 2 })
      yield* pass(500)
      network.last.open()
      yield* settle
      expect(yield* client.health).toMatchObject({ status: "healthy", code: null, cause: null })
    }),
  )

  it.effect("is logged at the first attempt and then ever more rarely, without the query of the URL", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const { network } = yield* begin({
          url: "https://ada:pw@hub.test/ws/room?key=s3cret",
          schedule: Schedule.spaced(100),
        })
        const at: Array<number> = []
        for (let attempt = 1; attempt <= 40; attempt++) {
          network.last.drop(1006, `cause ${attempt}`)
          const before = lines.length
          yield* pass(100)
          if (lines.length > before) at.push(attempt)
        }
        expect(at).toEqual([1, 2, 4, 8, 16, 32])
        expect(lines[0]).toBe(
          "Warn: not connected to https://hub.test/ws/room after 1 attempt(s), trying again: cause 1 (1006)",
        )
        // From the beginning again after a connection, whose end is no failed attempt.
        network.last.open()
        yield* settle
        network.last.drop(1006)
        yield* pass(100)
        expect(lines).toHaveLength(6)
        network.last.drop(1006, "once more")
        yield* pass(100)
        expect(lines.at(-1)).toMatch(/after 1 attempt\(s\), trying again: once more/)
      }),
    ),
  )

  it.effect("a token that has expired is replaced without a line", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const { network } = yield* begin({ token: () => "t" })
        network.last.open().drop(4401)
        yield* pass(250)
        expect(network.sockets).toHaveLength(2)
        expect(lines).toEqual([])
      }),
    ),
  )
})

describe("fault 56: the URL", () => {
  for (const [what, url, rule] of [
    ["with a fragment", "wss://hub.test/ws#room", /"url" ends with "#room".*fragment/],
    ["with an empty fragment", "wss://hub.test/ws#", /"url" ends with "#"/],
    ["that is a path", "/ws", /"url" is "\/ws": it must be the URL of a hub/],
    ["of another scheme", "ftp://hub.test/ws", /begins with ws:, wss:, http: or https:/],
    ["that is a number", 5, /"url" is a number/],
    ["that is missing", undefined, /"url" is missing/],
  ] as const) {
    it(`${what} rejects connect before a socket is opened`, async () => {
      const network = new FakeNetwork()
      await expect(
        connect(url as string, { webSocket: network.open, waitOnFirstConnect: true }),
      ).rejects.toMatchObject({ _tag: "ConnectFailed", code: null, message: expect.stringMatching(rule) })
      expect(network.sockets).toEqual([])
    })
  }

  it("may be a URL object, with a slash at its end, and is read once", async () => {
    const network = new FakeNetwork()
    network.onSocket = (socket) => queueMicrotask(() => socket.open())
    const url = new URL("https://hub.test/ws/room/?v=2")
    await using hub = await connect(url, { webSocket: network.open })
    expect(network.last.url).toBe("wss://hub.test/ws/room/?v=2")
    url.host = "elsewhere.test"
    const again = new Promise<FakeSocket>((resolve) => {
      network.onSocket = (socket) => {
        queueMicrotask(() => socket.open())
        resolve(socket)
      }
    })
    network.last.drop(1006)
    expect((await again).url).toBe("wss://hub.test/ws/room/?v=2")
    expect(hub.state.status).toMatch(/connect/)
  })
})
