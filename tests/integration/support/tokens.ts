/** Tokens made by hand, good ones and forged ones: nothing here knows how the project verifies them. */
import { createHmac, generateKeyPairSync, sign, type KeyObject } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Fields } from "./RawClient.ts"

export const SECRET = "a secret of thirty-two characters"

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")

/** A token with this header and payload, signed by what is given the text to sign. */
export const token = (header: Fields, payload: Fields, signature: (text: string) => Buffer): string => {
  const text = `${part({ typ: "JWT", ...header })}.${part(payload)}`
  return `${text}.${signature(text).toString("base64url")}`
}

/** A token that is signed with a secret. */
export const hs256 = (payload: Fields, secret: string = SECRET, header: Fields = {}): string =>
  token({ alg: "HS256", ...header }, payload, (text) => createHmac("sha256", secret).update(text).digest())

/** In so many seconds, as tokens count. */
export const inSeconds = (seconds: number): number => Date.now() / 1_000 + seconds

/** A key pair and its tokens. */
export interface Key {
  readonly kid: string
  readonly publicKey: KeyObject
  readonly jwk: Fields
  readonly sign: (payload: Fields, header?: Fields) => string
}

export const newKey = (alg: "RS256" | "ES256" | "EdDSA", kid: string): Key => {
  const { privateKey, publicKey } =
    alg === "RS256"
      ? generateKeyPairSync("rsa", { modulusLength: 2048 })
      : alg === "ES256"
        ? generateKeyPairSync("ec", { namedCurve: "P-256" })
        : generateKeyPairSync("ed25519")
  const jwk: Fields = { ...publicKey.export({ format: "jwk" }), alg, kid, use: "sig" }
  const signature = (text: string): Buffer =>
    sign(
      alg === "EdDSA" ? null : "sha256",
      Buffer.from(text),
      alg === "ES256" ? { key: privateKey, dsaEncoding: "ieee-p1363" } : privateKey,
    )
  return {
    kid,
    publicKey,
    jwk,
    sign: (payload, header = {}) => token({ alg, kid, ...header }, payload, signature),
  }
}

/** A server of public keys, as an identity provider runs one. */
export interface KeyServer extends AsyncDisposable {
  readonly url: string
  /** The keys that it serves, from now on. */
  keys: ReadonlyArray<Key>
  /** How often it was asked. */
  readonly asked: () => number
}

export const startKeyServer = async (keys: ReadonlyArray<Key>): Promise<KeyServer> => {
  let asked = 0
  const server = createServer((_, response) => {
    asked++
    response.setHeader("Content-Type", "application/json")
    response.end(JSON.stringify({ keys: served.keys.map(({ jwk }) => jwk) }))
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const served: KeyServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`,
    keys,
    asked: () => asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
  return served
}
