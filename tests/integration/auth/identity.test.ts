/** Tokens of an identity provider that knows nothing of addresses: whose they are, on the hub and at the gateway. */
import { afterEach, describe, expect, test } from "vitest"
import { expectError } from "../support/expectations.ts"
import { useHub } from "../support/hub.ts"
import { envelope, RawClient, type Fields } from "../support/RawClient.ts"
import { hs256, SECRET } from "../support/tokens.ts"

const standard = useHub({ vars: { AUTH_MODE: "token", JWT_SECRET: SECRET } })
const templated = useHub({
  vars: { AUTH_MODE: "token", JWT_SECRET: SECRET, JWT_IDENTITY: "@(user/{tenant}/{sub})" },
})
const wrong = useHub({ vars: { AUTH_MODE: "token", JWT_SECRET: SECRET, JWT_IDENTITY: "user/{sub}" } })

const clients: Array<RawClient> = []
afterEach(() => {
  for (const client of clients.splice(0)) client.terminate()
})

describe.each(["/ws", "/gateway"])("at %s", (path) => {
  const open = async (hub: ReturnType<typeof useHub>, payload: Fields): Promise<RawClient> => {
    const client = await RawClient.open(hub.url().replace(/\/ws$/, path), {
      headers: { Authorization: `Bearer ${hs256(payload)}` },
    })
    clients.push(client)
    return client
  }
  const identityAt = async (hub: ReturnType<typeof useHub>, payload: Fields): Promise<unknown> =>
    (await (await open(hub, payload)).handshake({ identity: null })).metadata.actorIdentity

  test("the sub is the identity where it is an address, and an actorId goes before it", async () => {
    expect(await identityAt(standard, { sub: "@(user/ada)" })).toBe("@(user/ada)")
    expect(await identityAt(standard, { sub: "@(user/ada)", actorId: "user/bob" })).toBe("@(user/bob)")
  })

  test("a sub that is no address is nobody's identity", async () => {
    const client = await open(standard, { sub: "ada" })
    expectError(await client.expect("hub:error"), "unauthorized")
    expect(await client.closeFrame).toBe(4401)
  })

  test("JWT_IDENTITY makes the identity, by which messages come", async () => {
    const ada = await open(templated, { tenant: "acme", sub: "ada" })
    const bob = await open(templated, { tenant: "acme", sub: "bob" })
    for (const client of [ada, bob]) await client.handshake({ identity: null })
    await bob.send(envelope({ to: "@(user/acme/ada)", type: "hello" }))
    expect(await ada.expect("hello")).toMatchObject({ from: "@(user/acme/bob)" })
  })

  test.each([
    { tenant: "acme" },
    { tenant: "acme/root", sub: "ada" },
    { tenant: "acme", sub: "@(user/root)" },
  ])("a token that is wrong for JWT_IDENTITY is refused: %j", async (payload) => {
    const client = await open(templated, payload)
    expectError(await client.expect("hub:error"), "unauthorized")
    expect(await client.closeFrame).toBe(4401)
  })

  test("a JWT_IDENTITY that can give no address lets nobody in", async () => {
    const client = await open(wrong, { actorId: "user/ada", sub: "ada" })
    expectError(await client.expect("hub:error"), "unauthorized")
    expect(await client.closeFrame).toBe(4401)
  })
})
