/** Our own client with tokens: it replaces them in time, and a call made right after the expiry arrives. */
import { ConnectFailed, type TokenProvider } from "@signal-hub/cloudflare-transport/client"
import { describe, expect, it } from "vitest"
import { useHub } from "../support/hub.ts"
import { unique } from "../support/names.ts"
import { reaches, useClients } from "../support/OwnClients.ts"
import { hs256, inSeconds, SECRET } from "../support/tokens.ts"

const hub = useHub({ vars: { AUTH_MODE: "token", JWT_SECRET: SECRET } })
const connect = useClients()

/** Hands out tokens of one identity, each good for so long, and counts. */
const provider = (name: string, seconds: () => number) => {
  const asked: Array<boolean> = []
  const token: TokenProvider = ({ refused }) => {
    asked.push(refused)
    return hs256({ actorId: `test/${name}`, exp: inSeconds(seconds()) })
  }
  return { asked, token }
}

describe("the client", () => {
  it("connects as the token's identity, and learns when it expires", async () => {
    const { token } = provider(unique("ada"), () => 600)
    const ada = await connect(hub.url(), { token, codec: "msgpack" })
    const state = await reaches(ada, "connected")
    expect(state.session.actorIdentity).toMatch(/^@\(test\/ada-/)
    expect(state.session.tokenExpiresAt).toBeGreaterThan(Date.now() + 500_000)
  })

  it("replaces its token on the live connection, and outlives many of them", async () => {
    const { asked, token } = provider(unique("ada"), () => 2)
    const ada = await connect(hub.url(), { token })
    const states: Array<string> = []
    const stop = ada.onState(({ status }) => void states.push(status))
    await expect.poll(() => asked.length, { timeout: 15_000 }).toBeGreaterThanOrEqual(4)
    stop()
    expect(states).toEqual([])
    expect(asked.slice(1).every(Boolean)).toBe(true)
  })

  it("fault 17: a call made right after the token has expired waits for a fresh one, and is answered", async () => {
    // No time is left to replace the first: it expires while it is in use.
    const { asked, token } = provider(unique("ada"), () => (asked.length === 1 ? 0.9 : 600))
    const bob = await connect(hub.url(), { token: hs256({ actorId: `test/${unique("bob")}` }) })
    const ada = await connect(hub.url(), { token })
    await reaches(ada, "reconnecting")
    const published = ada.publish("news", "item", 1)
    expect((await published).subscriberCount).toBe(0)
    expect(asked).toEqual([false, true])
    expect(bob.state.status).toBe("connected")
  })

  it("fault 17: a fresh token that is refused too is the end", async () => {
    let asked = 0
    const failed = await connect(hub.url(), {
      token: () => {
        asked++
        return hs256({ actorId: "test/ada" }, "another secret of the same length")
      },
    }).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(ConnectFailed)
    expect(failed).toMatchObject({ code: 4401 })
    expect(asked).toBe(2)
  })

  it("stays away from a hub that its token does not open", async () => {
    const token = hs256({ actorId: "test/ada", hubs: ["other"] })
    await expect(connect(hub.url(), { token })).rejects.toMatchObject({ _tag: "ConnectFailed", code: 4403 })
  })
})
