/** Tokens made by `jose` and by hand, against the check that the variables make. */
import { exportJWK, generateKeyPair, type JWK, SignJWT, UnsecuredJWT } from "jose"
import { beforeAll, describe, expect, it } from "vitest"
import { authenticationOf, type VerifyToken } from "../../src/auth/Authentication.ts"
import type { Claims } from "../../src/auth/Claims.ts"
import { RemoteKeys } from "../../src/auth/RemoteKeys.ts"
import { TokenRefused } from "../../src/auth/TokenRefused.ts"
import type { HubEnv } from "../../src/object/HubEnv.ts"

const SECRET = "a secret of thirty-two characters"
const bytes = (text: string) => new TextEncoder().encode(text)
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1_000) + seconds

type Key = Parameters<SignJWT["sign"]>[0]
interface KeyPair {
  readonly alg: string
  readonly privateKey: Key
  readonly jwk: JWK
}
const newKey = async (alg: string, kid?: string): Promise<KeyPair> => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { alg, privateKey, jwk: { ...(await exportJWK(publicKey)), alg, use: "sig", ...(kid && { kid }) } }
}

const signed = (payload: object, alg: string, key: Key, kid?: string) =>
  new SignJWT({ ...payload }).setProtectedHeader({ alg, ...(kid && { kid }) }).sign(key)
const hs = (payload: object, secret = SECRET) => signed(payload, "HS256", bytes(secret))

const authenticate = (env: Partial<HubEnv>, token: string, verify?: VerifyToken): Promise<Claims> => {
  const authentication = authenticationOf(env as HubEnv, verify)
  if (authentication.mode !== "token") throw new Error(`the mode is ${authentication.mode}`)
  return authentication.authenticate(token)
}
const refusal = async (env: Partial<HubEnv>, token: string, verify?: VerifyToken): Promise<TokenRefused> => {
  try {
    await authenticate(env, token, verify)
  } catch (error) {
    if (error instanceof TokenRefused) return error
    throw error
  }
  throw new Error("the token was accepted")
}

let rsa: KeyPair
let ec: KeyPair
let ed: KeyPair
beforeAll(async () => {
  ;[rsa, ec, ed] = await Promise.all([newKey("RS256", "r"), newKey("ES256", "e"), newKey("EdDSA", "d")])
})
const keySet = (...keys: ReadonlyArray<KeyPair>) => JSON.stringify({ keys: keys.map(({ jwk }) => jwk) })

describe("a deployment", () => {
  it("that says open is open; one that says nothing is not", () => {
    expect(authenticationOf({ AUTH_MODE: "open" } as HubEnv).mode).toBe("open")
    expect(authenticationOf({ JWT_SECRET: SECRET } as HubEnv).mode).toBe("token")
  })

  it("reads its keys once, for all the objects of an isolate", async () => {
    let reads = 0
    const env = {
      get JWKS() {
        reads++
        return keySet(ec)
      },
    } as HubEnv
    const token = await signed({ actorId: "user/ada" }, "ES256", ec.privateKey, "e")
    for (let object = 0; object < 3; object++) await authenticate(env, token)
    expect(reads).toBe(1)
  })

  it.each([
    [{}, "JWT_SECRET, JWKS or JWKS_URL"],
    [{ AUTH_MODE: "" }, "JWT_SECRET, JWKS or JWKS_URL"],
    [{ AUTH_MODE: "token", JWT_SECRET: "" }, "JWT_SECRET, JWKS or JWKS_URL"],
    [{ AUTH_MODE: "OPEN", JWT_SECRET: SECRET }, 'AUTH_MODE is "OPEN"'],
    [{ JWKS: "{" }, "JWKS is no key set"],
    [{ JWKS: "[]" }, "JWKS is no key set"],
    [{ JWKS: '{"keys":1}', JWT_SECRET: SECRET }, "JWKS is no key set"],
    [{ JWKS_URL: "keys" }, "JWKS_URL must be an https: URL"],
    [{ JWKS_URL: "http://idp.example/keys" }, "JWKS_URL must be an https: URL"],
    [{ JWKS_URL: "https://idp.example/keys", JWKS: '{"keys":[]}' }, "JWKS and JWKS_URL are both set"],
  ])("fault 27: with %j lets nobody in, and says what to set", (env, message) => {
    const authentication = authenticationOf(env as HubEnv)
    expect(authentication).toMatchObject({ mode: "misconfigured", error: { _tag: "AuthMisconfigured" } })
    expect(authentication.mode === "misconfigured" && authentication.error.message).toContain(message)
  })
})

describe("a good token", () => {
  it("is read: HS256 by the secret", async () => {
    const exp = inSeconds(60)
    const claims = await authenticate({ JWT_SECRET: SECRET }, await hs({ actorId: "user/ada", exp }))
    expect(claims).toMatchObject({ identity: "@(user/ada)", expiresAt: exp * 1_000 })
  })

  it("is read: RS256, ES256 and EdDSA by a key set, as text or as an object", async () => {
    const JWKS = keySet(rsa, ec, ed)
    for (const key of [rsa, ec, ed]) {
      const token = await signed({ actorId: "user/ada" }, key.alg, key.privateKey, key.jwk.kid)
      expect((await authenticate({ JWKS }, token)).identity).toBe("@(user/ada)")
      expect((await authenticate({ JWKS: JSON.parse(JWKS) }, token)).identity).toBe("@(user/ada)")
    }
  })

  it("is read where it names no key and there are several", async () => {
    const other = await newKey("ES256", "other")
    const JWKS = keySet(ec, other)
    for (const key of [ec, other]) {
      expect(
        (await authenticate({ JWKS }, await signed({ actorId: "a/b" }, "ES256", key.privateKey))).identity,
      ).toBe("@(a/b)")
    }
    const third = await newKey("ES256")
    const token = await signed({ actorId: "a/b" }, "ES256", third.privateKey)
    expect((await refusal({ JWKS }, token)).code).toBe("unauthorized")
  })

  it("is of the issuer and for the audience that are set", async () => {
    const env = { JWT_SECRET: SECRET, JWT_ISSUER: "idp", JWT_AUDIENCE: "hub" }
    const token = await hs({ actorId: "user/ada", iss: "idp", aud: ["other", "hub"] })
    expect((await authenticate(env, token)).identity).toBe("@(user/ada)")
  })
})

describe("fault 28: a token is verified before it is believed:", () => {
  const env = { JWT_SECRET: SECRET, JWT_ISSUER: "idp", JWT_AUDIENCE: "hub" }
  const good = { actorId: "user/ada", iss: "idp", aud: "hub" }

  it("one with another's signature is refused", async () => {
    expect((await refusal(env, await hs(good, "another secret of the same length"))).code).toBe(
      "unauthorized",
    )
    const [header, , signature] = (await hs(good)).split(".")
    const forged = btoa(JSON.stringify({ ...good, actorId: "user/admin" })).replaceAll("=", "")
    expect((await refusal(env, `${header}.${forged}.${signature}`)).code).toBe("unauthorized")
  })

  it("an expired one is refused by a code of its own", async () => {
    expect((await refusal(env, await hs({ ...good, exp: inSeconds(-1) }))).code).toBe("token_expired")
  })

  it.each([
    ["not valid yet", { nbf: inSeconds(60) }],
    ["of another issuer", { iss: "other" }],
    ["of no issuer", { iss: undefined }],
    ["for another audience", { aud: "other" }],
    ["for no audience", { aud: undefined }],
    ["without an identity", { actorId: undefined }],
    ["of an expiry that is no number", { exp: "soon" }],
  ])("one %s is refused", async (_, more) => {
    expect((await refusal(env, await hs({ ...good, ...more }))).code).toBe("unauthorized")
  })

  it("alg: none is refused, in each spelling, with a signature or without", async () => {
    const unsecured = new UnsecuredJWT(good).encode()
    expect((await refusal(env, unsecured)).code).toBe("unauthorized")
    const [, payload, signature] = (await hs(good)).split(".")
    for (const alg of ["none", "None", "NONE", "nOnE", "", null]) {
      const header = btoa(JSON.stringify({ alg })).replaceAll("=", "")
      for (const end of ["", signature]) {
        expect((await refusal(env, `${header}.${payload}.${end}`)).code).toBe("unauthorized")
      }
    }
  })

  it("the public key is no secret: HS256 signed with it is refused", async () => {
    const JWKS = keySet(rsa)
    const { n } = rsa.jwk
    for (const text of [JWKS, JSON.stringify(rsa.jwk), n!]) {
      const token = await signed(good, "HS256", bytes(text), "r")
      expect((await refusal({ JWKS }, token)).code).toBe("unauthorized")
      expect((await refusal({ JWKS, JWT_SECRET: SECRET }, token)).code).toBe("unauthorized")
    }
  })

  it("a secret among the public keys is not used as one, and a key only for its own algorithm", async () => {
    const oct = { kty: "oct", k: btoa(SECRET).replaceAll("=", ""), alg: "HS256", kid: "s" }
    const JWKS = JSON.stringify({ keys: [oct, rsa.jwk] })
    expect((await refusal({ JWKS }, await signed(good, "HS256", bytes(SECRET), "s"))).code).toBe(
      "unauthorized",
    )
    expect((await refusal({ JWKS }, await signed(good, "ES256", ec.privateKey, "r"))).code).toBe(
      "unauthorized",
    )
    expect((await refusal({ JWT_SECRET: SECRET }, await signed(good, "RS256", rsa.privateKey))).code).toBe(
      "unauthorized",
    )
    const ps = await generateKeyPair("PS256")
    expect((await refusal({ JWKS }, await signed(good, "PS256", ps.privateKey, "r"))).code).toBe(
      "unauthorized",
    )
  })

  it.each(["", ".", "..", "a.b", "a.b.c", "a.b.c.d.e", "{}", "\u0000", "x".repeat(20_000)])(
    "%j is refused",
    async (token) => {
      expect((await refusal(env, token)).code).toBe("unauthorized")
    },
  )

  it("what is told of a refusal names no key and no claim's value", async () => {
    const { message } = await refusal(env, await hs({ ...good, iss: "s3cret-issuer" }))
    expect(message).not.toContain("s3cret")
    expect(message).not.toContain("idp")
  })
})

describe("a scheme of one's own", () => {
  it("gives what a token says", async () => {
    const seen: Array<unknown> = []
    const env = { AUTH_MODE: "token" }
    const claims = await authenticate(env, "ticket-1", async (token, given) => {
      seen.push(token, given)
      return { actorId: "user/ada", capabilities: ["list"] }
    })
    expect(claims).toMatchObject({ identity: "@(user/ada)", capabilities: new Set(["list"]) })
    expect(seen).toEqual(["ticket-1", env])
  })

  it("fault 28: refuses by throwing, whose words are nobody's business", async () => {
    const verify = () => {
      throw new Error("no row for ticket-1 in db-7")
    }
    const { code, message } = await refusal({}, "ticket-1", verify)
    expect(code).toBe("unauthorized")
    expect(message).not.toMatch(/ticket|db/)
  })

  it("may say which refusal it is", async () => {
    const verify = () => {
      throw new TokenRefused({ code: "token_expired", message: "come back tomorrow" })
    }
    expect(await refusal({}, "t", verify)).toMatchObject({
      code: "token_expired",
      message: "come back tomorrow",
    })
  })

  it.each([
    ["nothing", undefined, "unauthorized"],
    ["no identity", {}, "unauthorized"],
    ["a reserved one", { actorId: "cloudflare/signal-hub" }, "forbidden"],
    ["an expired one", { actorId: "user/ada", exp: 1 }, "token_expired"],
  ])("that gives %s lets nobody in", async (_, payload, code) => {
    expect((await refusal({}, "t", () => payload as never)).code).toBe(code)
  })
})

describe("keys behind a URL", () => {
  /** A server of keys, its clock, and what asks it. */
  const world = (...keys: ReadonlyArray<KeyPair>) => {
    const state = { now: 0, keys, status: 200, fetches: 0, hold: undefined as Promise<void> | undefined }
    const remote = new RemoteKeys(
      "https://idp.example/keys",
      () => state.now,
      async () => {
        state.fetches++
        const body = keySet(...state.keys)
        await state.hold
        return new Response(body, { status: state.status })
      },
    )
    const finds = async (key: KeyPair): Promise<boolean> => {
      try {
        await remote.resolve({ alg: key.alg, kid: key.jwk.kid! }, { payload: "", signature: "" })
        return true
      } catch {
        return false
      }
    }
    return { state, finds }
  }

  it("are fetched once for many who need them at once, and kept", async () => {
    const { state, finds } = world(ec)
    const held = Promise.withResolvers<void>()
    state.hold = held.promise
    const all = Array.from({ length: 20 }, () => finds(ec))
    held.resolve()
    expect(await Promise.all(all)).toEqual(all.map(() => true))
    expect(await finds(ec)).toBe(true)
    expect(state.fetches).toBe(1)
  })

  it("are fetched anew for a key that is not among them, and no more than once in 30 s", async () => {
    const { state, finds } = world(ec)
    expect(await finds(ec)).toBe(true)
    state.keys = [ec, ed]
    expect(await finds(ed)).toBe(false)
    expect(state.fetches).toBe(1)
    state.now += 30_000
    expect(await finds(ed)).toBe(true)
    expect(state.fetches).toBe(2)
    for (let i = 0; i < 50; i++) expect(await finds(rsa)).toBe(false)
    expect(state.fetches).toBe(2)
  })

  it("that were taken back are gone after ten minutes", async () => {
    const { state, finds } = world(ec, ed)
    expect(await finds(ec)).toBe(true)
    state.keys = [ed]
    state.now += 600_000
    expect(await finds(ec)).toBe(false)
    expect(await finds(ed)).toBe(true)
  })

  it("serve for an hour where no newer ones can be had, and no longer", async () => {
    const { state, finds } = world(ec)
    expect(await finds(ec)).toBe(true)
    state.status = 500
    state.now += 3_599_999
    expect(await finds(ec)).toBe(true)
    state.now += 1
    expect(await finds(ec)).toBe(false)
  })

  it("that can't be had are tried for again after a second, not by each token", async () => {
    const { state, finds } = world(ec)
    state.status = 500
    for (let i = 0; i < 10; i++) expect(await finds(ec)).toBe(false)
    expect(state.fetches).toBe(1)
    state.status = 200
    state.now += 1_000
    expect(await finds(ec)).toBe(true)
  })

  it("whose fetch is lost with the request that began it are fetched again", async () => {
    const { state, finds } = world(ec)
    state.hold = new Promise(() => {})
    void finds(ec)
    state.hold = undefined
    state.now += 5_000
    expect(await finds(ec)).toBe(true)
  })
})
