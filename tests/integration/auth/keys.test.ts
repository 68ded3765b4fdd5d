/** Keys behind JWKS_URL, while they are rotated. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { expectError } from "../support/expectations.ts"
import { startHub, type HubServer } from "../support/hub.ts"
import { RawClient } from "../support/RawClient.ts"
import { newKey, startKeyServer, type Key, type KeyServer } from "../support/tokens.ts"

const keys = [newKey("RS256", "one"), newKey("ES256", "two"), newKey("EdDSA", "three")] as const
let server: HubServer
let keyServer: KeyServer
beforeAll(async () => {
  keyServer = await startKeyServer([keys[0], keys[1]])
  server = await startHub(undefined, { AUTH_MODE: "token", JWKS_URL: keyServer.url })
}, 60_000)
afterAll(async () => {
  await server.close()
  await keyServer[Symbol.asyncDispose]()
})

const enter = async (key: Key): Promise<RawClient> => {
  const text = key.sign({ actorId: "user/ada" })
  return RawClient.open(server.url, { protocols: ["signal-hub.json", `signal-hub.bearer.${text}`] })
}

describe("JWKS_URL", () => {
  it("is asked once for many who come at once, and not again for those that follow", async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, (_, i) => enter(keys[i % 2]!)))
    for (const client of clients) {
      expect((await client.handshake({ identity: null })).type).toBe("hub:connected")
      client.terminate()
    }
    expect(keyServer.asked()).toBe(1)
  })

  it("is not asked by each token that names a key which does not exist", async () => {
    const before = keyServer.asked()
    for (let i = 0; i < 5; i++) {
      const client = await enter(newKey("EdDSA", `made-up-${i}`))
      expectError(await client.expect("hub:error"), "unauthorized")
      expect(await client.closeFrame).toBe(4401)
      client.terminate()
    }
    expect(keyServer.asked()).toBe(before)
  })

  it("serves the object too: a token in hub:connect", async () => {
    const client = await RawClient.open(server.url)
    const metadata = { authToken: keys[0].sign({ actorId: "user/ada" }) }
    expect((await client.handshake({ identity: null, metadata })).type).toBe("hub:connected")
    client.terminate()
  })
})

describe("JWKS_URL that does not answer", () => {
  it("lets nobody in, and says to come back", async () => {
    const gone = await startKeyServer([])
    await gone[Symbol.asyncDispose]()
    const other = await startHub(undefined, { AUTH_MODE: "token", JWKS_URL: gone.url })
    try {
      const text = keys[0].sign({ actorId: "user/ada" })
      const client = await RawClient.open(other.url, { headers: { Authorization: `Bearer ${text}` } })
      expectError(await client.expect("hub:error"), "internal_error")
      expect(await client.closeFrame).toBe(4503)
      client.terminate()
    } finally {
      await other.close()
    }
  })
})
