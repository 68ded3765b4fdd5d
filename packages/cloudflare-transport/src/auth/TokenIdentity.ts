/** The identity that a token gives its bearer: by `actorId`, by a template of the deployment, or by `sub`. */
import { Address } from "@signal-hub/actor-core"
import { isReserved } from "../protocol/HubMessage.ts"
import { AuthMisconfigured, TokenRefused } from "./TokenRefused.ts"

/** The payload of a token, unjudged. */
type Payload = { readonly [claim: string]: unknown }

/** Gives the identity that a payload without `actorId` stands for. Throws `TokenRefused`. */
export type IdentityTemplate = (payload: Payload) => Address.Address

const PLACEHOLDER = /\{([^{}]*)\}/g

/**
 * Compiles the variable `JWT_IDENTITY`: an address in which `{name}` stands for the claim of that name, a
 * string that must be a valid part of a segment.
 *
 * @throws AuthMisconfigured where it names no claim or can give no address that clients may have.
 * @example identityTemplate("@(user/{sub})")({ sub: "ada" }) // "@(user/ada)"
 */
export const identityTemplate = (template: string): IdentityTemplate => {
  const names = Array.from(template.matchAll(PLACEHOLDER), ([, name]) => name!)
  const sample = template.replaceAll(PLACEHOLDER, "x")
  if (names.length === 0 || names.includes("") || !Address.isAddress(sample) || isReserved(sample)) {
    throw new AuthMisconfigured({
      message: `JWT_IDENTITY is "${template}": it must be an address with a claim in it, such as "@(user/{sub})"`,
    })
  }
  return (payload) => {
    const identity = template.replaceAll(PLACEHOLDER, (_, name: string) => segmentOf(payload, name))
    if (Address.isAddress(identity)) return claimable(identity, "its identity is")
    throw invalid(`${names.map((name) => `"${name}"`).join(", ")} can't be part of an address`)
  }
}

/** The claim's text, where it can't end its segment or begin another. */
const segmentOf = (payload: Payload, name: string): string => {
  const value = Object.hasOwn(payload, name) ? payload[name] : undefined
  if (typeof value !== "string" || !/^[A-Za-z0-9._~:-]+$/.test(value)) {
    throw invalid(`its "${name}" is no text that can be a segment of an address`)
  }
  return value
}

/**
 * The identity of a token's payload: its `actorId`, with or without `@( )`; where that is absent, what the
 * template makes of it; without a template its `sub`, if that is an address. Throws `TokenRefused`.
 */
export const identityOf = (payload: Payload, template?: IdentityTemplate): Address.Address => {
  const { actorId, sub } = payload
  if (actorId === undefined) {
    if (template !== undefined) return template(payload)
    if (Address.isAddress(sub)) return claimable(sub, 'its "sub" is')
    throw invalid('it has no "actorId", and its "sub" is no address')
  }
  if (typeof actorId !== "string") throw invalid('its "actorId" is no text')
  const identity = actorId.startsWith("@(") ? actorId : `@(${actorId})`
  if (!Address.isAddress(identity)) throw invalid('its "actorId" is no address')
  return claimable(identity, 'its "actorId" is')
}

const claimable = (identity: Address.Address, what: string): Address.Address => {
  if (!isReserved(identity)) return identity
  throw new TokenRefused({
    code: "forbidden",
    message: `the token is not valid: ${what} a reserved address`,
  })
}

const invalid = (why: string): TokenRefused =>
  new TokenRefused({ code: "unauthorized", message: `the token is not valid: ${why}` })
