/** Tokens from outside: where they may be, which are good, and how those that are not are refused. */
import { describe, expect, it } from "vitest"
import { expectError } from "../support/expectations.ts"
import { useHub } from "../support/hub.ts"
import {
  fieldsOf,
  RawClient,
  UpgradeRefused,
  type ConnectOptions,
  type Fields,
} from "../support/RawClient.ts"
import { hs256, inSeconds, newKey, SECRET, token } from "../support/tokens.ts"

const rsa = newKey("RS256", "rsa-1")
const ec = newKey("ES256", "ec-1")
const ed = newKey("EdDSA", "ed-1")
const JWKS = JSON.stringify({ keys: [rsa.jwk, ec.jwk, ed.jwk] })

const hub = useHub({
  vars: {
    AUTH_MODE: "token",
    JWT_SECRET: SECRET,
    JWKS,
    JWT_ISSUER: "idp",
    JWT_AUDIENCE: "hub",
    ALLOWED_ORIGINS: "https://app.example,https://other.example",
  },
})

const good: Fields = { sub: "1", actorId: "user/ada", iss: "idp", aud: "hub", exp: inSeconds(3_600) }
/** The three places of a token. */
const PLACES: ReadonlyArray<readonly [name: string, place: (text: string) => ConnectOptions]> = [
  ["header", (text: string) => ({ headers: { Authorization: `Bearer ${text}` } })],
  ["subprotocol", (text: string) => ({ protocols: ["signal-hub.json", `signal-hub.bearer.${text}`] })],
  ["hub:connect", (text: string) => ({ metadata: { authToken: text } })],
]

describe("a good token", () => {
  it.each(PLACES)("in the %s lets its bearer in, as the identity that it names", async (_, place) => {
    for (const text of [hs256(good), rsa.sign(good), ec.sign(good), ed.sign(good)]) {
      const client = await hub.open(place(text))
      const connected = await client.handshake({ identity: null, ...place(text) })
      expect(connected.type).toBe("hub:connected")
      expect(connected.metadata.actorIdentity).toBe("@(user/ada)")
      expect(connected.metadata.tokenExpiresAt).toBe(Math.floor(Number(good.exp) * 1_000))
    }
  })

  it("in a subprotocol is not echoed", async () => {
    const client = await hub.open({ protocols: [`signal-hub.bearer.${hs256(good)}`, "signal-hub.json"] })
    expect(client.socket.protocol).toBe("signal-hub.json")
  })

  it("in the URL is none", async () => {
    const text = hs256(good)
    const client = await RawClient.open(`${hub.url()}?token=${text}&access_token=${text}&authToken=${text}`)
    expectError(await client.handshake({ identity: null }), "unauthorized")
    client.terminate()
  })
})

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
const publicPem = rsa.publicKey.export({ type: "spki", format: "pem" }).toString()
/** Attacks by the token itself: what is offered, and what is answered. */
const ATTACKS: ReadonlyArray<readonly [attack: string, text: string, code: string, close: number]> = [
  ["a forged one", hs256(good, "another secret of the same length"), "unauthorized", 4401],
  [
    "one whose payload was exchanged",
    hs256(good).replace(/\.[^.]+\./, `.${part({ ...good, actorId: "user/admin" })}.`),
    "unauthorized",
    4401,
  ],
  ["an expired one", hs256({ ...good, exp: inSeconds(-1) }), "token_expired", 4401],
  ["one that is not valid yet", hs256({ ...good, nbf: inSeconds(600) }), "unauthorized", 4401],
  ["one of another issuer", hs256({ ...good, iss: "evil" }), "unauthorized", 4401],
  ["one for another audience", hs256({ ...good, aud: "other" }), "unauthorized", 4401],
  ["alg: none", token({ alg: "none" }, good, () => Buffer.alloc(0)), "unauthorized", 4401],
  ["alg: nOnE with a signature", hs256(good, SECRET, { alg: "nOnE" }), "unauthorized", 4401],
  ["HS256 with the RSA public key as PEM", hs256(good, publicPem, { kid: "rsa-1" }), "unauthorized", 4401],
  [
    "HS256 with the RSA public key as JWK",
    hs256(good, JSON.stringify(rsa.jwk), { kid: "rsa-1" }),
    "unauthorized",
    4401,
  ],
  ["HS256 with the key set itself", hs256(good, JWKS), "unauthorized", 4401],
  [
    "a key of its own in its header",
    newKey("RS256", "evil").sign(good, {
      jwk: newKey("RS256", "evil").jwk,
      jku: "https://evil.example/keys",
    }),
    "unauthorized",
    4401,
  ],
  ["RS256 signed by an EC key's name", rsa.sign(good, { kid: "ec-1" }), "unauthorized", 4401],
  ["one of another hub", hs256({ ...good, hubs: ["other"] }), "forbidden", 4403],
  ["one of a reserved identity", hs256({ ...good, actorId: "cloudflare/signal-hub" }), "forbidden", 4403],
  [
    "one of another session's provisional address",
    hs256({ ...good, actorId: "@(session/x)" }),
    "forbidden",
    4403,
  ],
  ["one without an identity", hs256({ ...good, actorId: undefined }), "unauthorized", 4401],
  ["what is no token", "a.b.c", "unauthorized", 4401],
]

describe("a bad token", () => {
  it.each(ATTACKS)("with the upgrade, %s: told and closed by the Worker", async (_, text, code, close) => {
    for (const [, place] of PLACES.slice(0, 2)) {
      const client = await hub.open(place(text))
      expectError(await client.expect("hub:error"), code)
      expect(await client.closeFrame).toBe(close)
    }
  })

  it.each(ATTACKS)("in hub:connect, %s: refused, and the third closes", async (_, text, code) => {
    const client = await hub.open()
    for (let tries = 0; tries < 3; tries++) {
      expectError(await client.handshake({ identity: null, metadata: { authToken: text } }), code)
    }
    expect((await client.closed()).code).toBe(4401)
  })

  it("none at all is refused, and may be made good by the next hub:connect", async () => {
    const client = await hub.open()
    expectError(await client.handshake({ identity: null }), "unauthorized")
    expectError(await client.ask("hub:heartbeat", { timestamp: 1 }), "not_connected")
    const connected = await client.handshake({ identity: null, metadata: { authToken: hs256(good) } })
    expect(connected.type).toBe("hub:connected")
  })

  it("is refused readably with msgpack too", async () => {
    const client = await hub.open({ protocols: ["signal-hub.msgpack", "signal-hub.bearer.forged"] })
    expect(await client.closeFrame).toBe(4401)
    expect(client.socket.protocol).toBe("signal-hub.msgpack")
    expect(client.frames.map((frame) => typeof frame)).toEqual(["object"])
  })
})

describe("hubs", () => {
  it("are entered by those whose token names them, and a refusal says no more than that", async () => {
    const elsewhere = hs256({ ...good, hubs: ["room-1"] })
    const [, header] = PLACES[0]!
    const client = await hub.open({ hub: "room-1", ...header(elsewhere) })
    expect((await client.handshake({ identity: null })).type).toBe("hub:connected")
    const messages = await Promise.all(
      ["room-1", "never-used"].map(async (name) => {
        const refused = await hub.open({ hub: name, ...header(hs256(good)) })
        return fieldsOf((await refused.expect("hub:error")).payload)
      }),
    )
    expect(messages[0]).toEqual(messages[1])
  })

  it("a token of one hub is refused in hub:connect of another", async () => {
    const client = await hub.open({ hub: "room-2" })
    const authToken = hs256({ ...good, hubs: ["room-1", "default"] })
    expectError(await client.handshake({ identity: null, metadata: { authToken } }), "forbidden")
  })
})

describe("origins", () => {
  it("that are not allowed get 403; allowed ones, and what is no browser, get in", async () => {
    for (const Origin of ["https://app.example", "https://other.example"]) {
      await hub.open({ headers: { Origin } })
    }
    await hub.open()
    for (const Origin of ["https://evil.example", "https://app.example.evil.example", "null"]) {
      const refused = await hub.open({ headers: { Origin } }).catch((error: unknown) => error)
      expect(refused).toBeInstanceOf(UpgradeRefused)
      expect((refused as UpgradeRefused).status).toBe(403)
    }
  })
})

describe("a client that says what only the Worker may say", () => {
  it("is not believed, whatever header it sends", async () => {
    const claims = JSON.stringify({ actorId: "@(user/admin)", capabilities: ["list"], hubs: ["default"] })
    const headers = Object.fromEntries(
      ["Signal-Hub-Claims", "X-Signal-Hub-Claims", "X-Actor-Identity", "X-Hub-Claims"].map((name) => [
        name,
        claims,
      ]),
    )
    const client = await hub.open({ headers: { ...headers, Host: "hub" } })
    expectError(await client.handshake({ identity: null }), "unauthorized")
    const ada = await hub.open({ headers: { ...headers, Authorization: `Bearer ${hs256(good)}` } })
    expect((await ada.handshake({ identity: null })).metadata.actorIdentity).toBe("@(user/ada)")
  })
})

describe("the log", () => {
  it("tells what was refused and why; no token and no claim", async () => {
    const { harness } = hub.server()
    harness.clearLogs()
    const text = hs256({ ...good, hubs: ["default", "s3cret-hub"] })
    const [, header] = PLACES[0]!
    const client = await hub.open(header(text))
    await client.handshake({ identity: null })
    await client.ask("hub:metrics", {})
    await client.ask("hub:refresh_token", { token: `${text}x` })
    await (await hub.open(header(`${text}x`))).expect("hub:error")
    const lines = harness.getLogs().map(({ message }) => String(message))
    expect(lines.some((line) => line.includes("connection_rejected"))).toBe(true)
    expect(lines.some((line) => line.includes("request_forbidden"))).toBe(true)
    expect(lines.join("\n")).not.toMatch(/eyJ|s3cret/)
  })
})
