/**
 * From the variables of a deployment to who may enter: the check of tokens, or that there is none, or
 * what is missing for one. Fails closed: whatever is wrong, nobody gets in. No platform but WebCrypto.
 */
import {
  createLocalJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from "jose"
import { type HubEnv, oncePerEnv } from "../object/HubEnv.ts"
import { type Claims, readClaims, type TokenPayload } from "./Claims.ts"
import { identityTemplate, type IdentityTemplate } from "./TokenIdentity.ts"
import { KeysUnavailable, RemoteKeys } from "./RemoteKeys.ts"
import { AuthMisconfigured, TokenRefused } from "./TokenRefused.ts"

/**
 * A scheme of your own: gives what a token says, or throws where it is not good. `env` has the Worker's
 * bindings. The token is the client's text, unjudged, at most 16,384 characters.
 */
export type VerifyToken<Env extends HubEnv = HubEnv> = (
  token: string,
  env: Env,
) => TokenPayload | Promise<TokenPayload>

/** The claims of a token; rejects `TokenRefused`. */
export type Authenticate = (token: string) => Promise<Claims>

export type Authentication =
  | { readonly mode: "open" }
  | { readonly mode: "token"; readonly authenticate: Authenticate }
  | { readonly mode: "misconfigured"; readonly error: AuthMisconfigured }

/** Most characters of a token. */
const MAX_TOKEN_LENGTH = 16_384

const ASYMMETRIC = ["RS256", "ES256", "EdDSA"]

/** How this deployment authenticates. */
export const authenticationOf = <Env extends HubEnv>(env: Env, verify?: VerifyToken<Env>): Authentication => {
  const mode = env.AUTH_MODE || "token"
  if (mode === "open") return { mode }
  try {
    if (mode !== "token") {
      throw new AuthMisconfigured({ message: `AUTH_MODE is "${mode}": it must be "token" or "open"` })
    }
    if (verify === undefined) return { mode, authenticate: byKeys(env) }
    return { mode, authenticate: guarded((token) => verify(token, env), templateOf(env)) }
  } catch (error) {
    if (!(error instanceof AuthMisconfigured)) throw error
    return { mode: "misconfigured", error }
  }
}

/** Whatever a check throws refuses the token, and what it gives is read before it is believed. */
const guarded =
  (verify: (token: string) => unknown, template: IdentityTemplate | undefined): Authenticate =>
  async (token) => {
    if (token.length > MAX_TOKEN_LENGTH) {
      throw refused(`it is longer than ${MAX_TOKEN_LENGTH} characters`)
    }
    let payload: unknown
    try {
      payload = await verify(token)
    } catch (error) {
      throw error instanceof TokenRefused ? error : refused("it was not accepted")
    }
    const claims = readClaims(payload, template)
    if (claims.expiresAt !== null && claims.expiresAt <= Date.now()) throw expired()
    return claims
  }

const templateOf = ({ JWT_IDENTITY }: HubEnv): IdentityTemplate | undefined =>
  JWT_IDENTITY ? identityTemplate(JWT_IDENTITY) : undefined

/** The check by the keys that the variables name. */
const byKeys = oncePerEnv((env: HubEnv): Authenticate => {
  const { JWT_SECRET, JWT_ISSUER, JWT_AUDIENCE } = env
  const keySet = keySetOf(env)
  const secret = JWT_SECRET ? new TextEncoder().encode(JWT_SECRET) : undefined
  if (keySet === undefined && secret === undefined) {
    throw new AuthMisconfigured({
      message:
        "authentication is on and there are no keys: set JWT_SECRET, JWKS or JWKS_URL, or AUTH_MODE=open for local development",
    })
  }
  const options: JWTVerifyOptions = {
    // What a token says of its algorithm counts only within what the keys are for.
    algorithms: [...(secret === undefined ? [] : ["HS256"]), ...(keySet === undefined ? [] : ASYMMETRIC)],
    ...(JWT_ISSUER !== undefined && { issuer: JWT_ISSUER }),
    ...(JWT_AUDIENCE !== undefined && { audience: JWT_AUDIENCE }),
  }
  return guarded(async (token) => {
    try {
      return await verifyWith(token, secret, keySet, options)
    } catch (error) {
      throw reasonOf(error)
    }
  }, templateOf(env))
})

/** The secret serves HS256 alone, and the key set never: a public key is no secret. */
const verifyWith = async (
  token: string,
  secret: Uint8Array | undefined,
  keySet: JWTVerifyGetKey | undefined,
  options: JWTVerifyOptions,
): Promise<unknown> => {
  const keyFor: JWTVerifyGetKey = (header, input) => {
    const key = header.alg === "HS256" ? secret : keySet?.(header, input)
    if (key === undefined) throw new errors.JOSEAlgNotAllowed()
    return key
  }
  try {
    return (await jwtVerify(token, keyFor, options)).payload
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
    // It names no key, and there are some: while keys are rotated.
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload
      } catch (inner) {
        if (!(inner instanceof errors.JWSSignatureVerificationFailed)) throw inner
      }
    }
    throw new errors.JWSSignatureVerificationFailed()
  }
}

const keySetOf = ({ JWKS, JWKS_URL }: HubEnv): JWTVerifyGetKey | undefined => {
  if (JWKS && JWKS_URL) {
    throw new AuthMisconfigured({ message: "JWKS and JWKS_URL are both set: keep one" })
  }
  if (JWKS_URL) return remoteKeys(JWKS_URL).resolve
  if (!JWKS) return undefined
  try {
    const set: unknown = typeof JWKS === "string" ? JSON.parse(JWKS) : JWKS
    return createLocalJWKSet(set as JSONWebKeySet)
  } catch {
    throw new AuthMisconfigured({ message: 'JWKS is no key set: it must be JSON, {"keys": [...]}' })
  }
}

/** Key sets by their URL: the Worker and the objects of one isolate share what one of them fetched. */
const remote = new Map<string, RemoteKeys>()

const remoteKeys = (text: string): RemoteKeys => {
  const url = URL.parse(text)
  const isLocal = url !== null && ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname)
  if (url === null || (url.protocol !== "https:" && !(isLocal && url.protocol === "http:"))) {
    throw new AuthMisconfigured({ message: "JWKS_URL must be an https: URL" })
  }
  let keys = remote.get(url.href)
  if (keys === undefined) remote.set(url.href, (keys = new RemoteKeys(url.href)))
  return keys
}

const refused = (why: string): TokenRefused =>
  new TokenRefused({ code: "unauthorized", message: `the token is not valid: ${why}` })

const expired = (): TokenRefused =>
  new TokenRefused({ code: "token_expired", message: "the token has expired" })

/** What its bearer may know of why a token was refused. */
const reasonOf = (error: unknown): TokenRefused => {
  if (error instanceof errors.JWTExpired) return expired()
  if (error instanceof KeysUnavailable) {
    return new TokenRefused({ code: "internal_error", message: "tokens can't be verified now" })
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return refused(
      error.claim === "nbf"
        ? "it is not valid yet"
        : `its "${error.claim}" is ${error.reason === "missing" ? "missing" : "not the right one"}`,
    )
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return refused("its algorithm is not allowed here")
  if (error instanceof errors.JWKSNoMatchingKey) return refused("it is signed by no key of this deployment")
  if (error instanceof errors.JWSSignatureVerificationFailed) return refused("its signature is wrong")
  return refused("it is no signed JWT")
}
