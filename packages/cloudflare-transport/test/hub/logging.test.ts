/** The log lines that tell the life of a connection and of a message. */
import { describe, expect, it } from "vitest"
import { TestHub } from "../support/TestHub.ts"

describe("the log of a hub", () => {
  it("tells that a socket was accepted, and by which codec it speaks", () => {
    const hub = new TestHub()
    hub.connect("@(node/a)")
    expect(hub.logged("connection_accepted")).toEqual([
      { connectionId: expect.any(String), subprotocol: "signal-hub.json" },
    ])
  })

  it("tells that a farewell was acknowledged", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    a.request("hub:disconnect", {})
    expect(hub.logged("disconnect_acknowledged")).toMatchObject([
      { sessionId: a.sessionId, actorIdentity: "@(node/a)", connectionId: expect.any(String) },
    ])
  })

  it("counts the subscribers of a topic as one more subscribes", () => {
    const hub = new TestHub()
    for (const name of ["a", "b"]) hub.connect(`@(node/${name})`).subscribe("news")
    expect(hub.logged("subscription_added").map(({ subscriberCount }) => subscriberCount)).toEqual([1, 2])
  })

  it("tells of each message that was delivered, without its payload, at the level debug only", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    const messageId = a.send({ to: "@(node/b)", type: "hello", payload: { secret: 1 } })
    expect(hub.logged("message_delivered")).toEqual([
      { messageId, from: "@(node/a)", to: "@(node/b)", type: "hello", sessionId: b.sessionId },
    ])
    hub.logsDebug = false
    a.send({ to: "@(node/b)", type: "hello" })
    expect(hub.logged("message_delivered")).toHaveLength(1)
  })

  it("does not say that a message was delivered which nobody is there for", () => {
    const hub = new TestHub()
    hub.connect("@(node/a)").send({ to: "@(node/nobody)", type: "hello" })
    expect(hub.logged("message_delivered")).toEqual([])
    expect(hub.logged("delivery_failed")).toHaveLength(1)
  })
})
