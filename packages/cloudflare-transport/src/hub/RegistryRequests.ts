/** Requests about registrations: register, renew, unregister, discover, list. */
import type { Address, AddressPattern } from "@signal-hub/actor-core"
import { mayDiscover, mayDiscoverBy, mayList, mayRegister, seesAll } from "../auth/Authorization.ts"
import type { ActorEntry, ActorList, Discovered, Registered } from "../protocol/HubMessage.ts"
import * as Fields from "./Fields.ts"
import { claimIdentity, moveAway, refuseForeign } from "./IdentityClaim.ts"
import { endAddress } from "./Lifecycle.ts"
import { malformed, Refusal } from "./Refusal.ts"
import { literalPrefix, type Registration } from "./Registry.ts"
import type { Answer, Request } from "./Requests.ts"
import { inSlices } from "./Slices.ts"

/** Rows that one discovery looks at: what is beyond comes with the next page. */
const ROWS_A_PAGE = 2_000

const newRenewalToken = (address: Address.Address): string => `${btoa(address)}.${crypto.randomUUID()}`

export const register = (request: Request): Answer => putRegistration(request, readRegistration(request))

/** What is to be registered, where it may be. */
export interface RegistrationWanted {
  readonly address: Address.Address
  readonly capabilities: ReadonlyArray<string>
  readonly metadata: Fields.Fields
  readonly ttlSeconds: number
}

export const readRegistration = ({ hub, session, envelope }: Request): RegistrationWanted => {
  const fields = Fields.fieldsOf(envelope.payload)
  const { limits } = hub.host
  const address = Fields.claimable(fields.actorAddress, "actorAddress")
  const capabilities = Fields.tags(fields.capabilities, "capabilities", limits)
  const metadata = Fields.metadata(fields.metadata, "metadata", limits)
  const ttlSeconds = Fields.ttlSeconds(fields.ttlSeconds, limits) ?? limits.defaultTtlSeconds
  if (!mayRegister(session.claims, address)) {
    throw new Refusal("forbidden", `the token does not allow to register ${address}`)
  }
  refuseForeign(hub, address)
  refuseForeignIdentity(hub, session, address)
  refuseBeyondLimits(hub, session, hub.registry.get(address))
  return { address, capabilities, metadata, ttlSeconds }
}

/** Registers. `least`: what its version must be at least, as others know of earlier ones. */
export const putRegistration = (
  { hub, session, now }: Request,
  { address, capabilities, metadata, ttlSeconds }: RegistrationWanted,
  least = 1,
): Answer => {
  const registration = hub.atomically(() => {
    if (session.identity === null) claimIdentity(hub, session, address, now)
    const before = hub.registry.get(address)
    const own = before?.sessionId === session.id ? before : undefined
    if (own === undefined && before !== undefined) moveAway(hub, before, now)
    const written: Registration = {
      address,
      sessionId: session.id,
      capabilities,
      metadata,
      ttlSeconds,
      registeredAt: own?.registeredAt ?? now,
      version: Math.max((before?.version ?? 0) + 1, least),
      renewalToken: newRenewalToken(address),
    }
    hub.registry.put(written, session)
    hub.elsewhere?.registered(written, session, now)
    return written
  })
  hub.logSession("actor_registered", session, { actorAddress: address, version: registration.version })
  return registered(hub.registry.expiresAt(registration, session, now), registration)
}

/** An identity can't be registered by another session, unless that claims it as its own. */
const refuseForeignIdentity = (
  hub: Request["hub"],
  session: Request["session"],
  address: Address.Address,
): void => {
  const holder = session.identity === null ? undefined : hub.sessions.byIdentity(address)
  if (holder !== undefined && holder !== session) {
    throw new Refusal("address_in_use", `${address} is the identity of another session`)
  }
}

const refuseBeyondLimits = (
  { host, registry }: Request["hub"],
  session: Request["session"],
  before: Registration | undefined,
): void => {
  const { maxAddressesPerSession, maxRegistrations } = host.limits
  if (before?.sessionId !== session.id && registry.countOf(session) >= maxAddressesPerSession) {
    throw new Refusal("registry_full", `the session holds ${maxAddressesPerSession} addresses, its most`)
  }
  if (before === undefined && registry.count() >= maxRegistrations) {
    throw new Refusal("registry_full", `the hub has ${maxRegistrations} registrations, its most`)
  }
}

const registered = (expiresAt: number, { address, renewalToken, version }: Registration): Answer => {
  const payload: Registered = { actorAddress: address, expiresAt, renewalToken, version }
  return { payload, metadata: { expiresAt, renewalToken, version } }
}

export const renew = ({ hub, session, envelope, now }: Request): Answer => {
  const fields = Fields.fieldsOf(envelope.payload)
  const token = Fields.optionalText(fields.renewalToken, "renewalToken", 1_024)
  if (token === undefined) throw malformed('"renewalToken" must be the token of a registration')
  const ttlSeconds = Fields.ttlSeconds(fields.ttlSeconds, hub.host.limits)
  const registration = hub.registry.heldUnder(token)
  if (registration === undefined || registration.sessionId !== session.id) {
    throw new Refusal(
      "forbidden",
      '"renewalToken" is not the current token of a registration of this session',
    )
  }
  hub.registry.renew(
    registration,
    newRenewalToken(registration.address),
    ttlSeconds ?? registration.ttlSeconds,
  )
  hub.elsewhere?.registered(registration, session, now)
  const { payload } = registered(hub.registry.expiresAt(registration, session, now), registration)
  return { payload }
}

export const unregister = ({ hub, session, from, envelope, now }: Request): Answer => {
  const { actorAddress } = Fields.fieldsOf(envelope.payload)
  const address =
    actorAddress === undefined || actorAddress === null ? from : Fields.address(actorAddress, "actorAddress")
  const registration = hub.registry.get(address)
  if (registration?.sessionId !== session.id) {
    throw new Refusal("forbidden", '"actorAddress" is not registered by this session')
  }
  endAddress(hub, registration, "unregistered", now)
  return { payload: { actorAddress: address } }
}

export const discover = (request: Request): Answer | undefined => {
  const { hub, session } = request
  const { pattern, wanted, limit, after: first } = readDiscovery(request)
  const prefix = pattern.matchesAll ? "" : literalPrefix(pattern)
  const matches = ({ address, capabilities }: Registration): boolean =>
    pattern.matches(address) &&
    mayDiscover(session.claims, address) &&
    wanted.every((capability) => capabilities.includes(capability))

  const all: Array<Registration> = []
  let after = first
  return inSlices(request, (now) => {
    const { found, next } = hub.registry.page(prefix, after, limit - all.length, ROWS_A_PAGE, now, matches)
    all.push(...found)
    // A cursor is an address. Who doesn't see all gets none but of what was found: the page is filled.
    if (next !== undefined && all.length < limit && !seesAll(session.claims)) {
      after = next
      return undefined
    }
    return discovered(
      all.map((registration) => hub.registry.entry(registration, now)),
      next,
    )
  })
}

export const discovered = (actors: ReadonlyArray<ActorEntry>, next: string | undefined): Answer => {
  const payload: Discovered =
    next === undefined
      ? { actors, hasMore: false }
      : { actors, hasMore: true, cursor: Fields.encodeCursor(next) }
  return { payload }
}

interface Discovery {
  readonly pattern: AddressPattern.AddressPattern
  /** Tags that an entry must have. */
  readonly wanted: ReadonlyArray<string>
  readonly limit: number
  /** The address to begin after. */
  readonly after: string
}

/** What is looked for. */
export const readDiscovery = ({ hub, session, envelope }: Request): Discovery => {
  const fields = Fields.fieldsOf(envelope.payload)
  const { limits } = hub.host
  const pattern = Fields.pattern(fields.pattern, "pattern")
  if (!mayDiscoverBy(session.claims, pattern)) {
    throw new Refusal("forbidden", 'to discover all needs the right "list": name what is looked for')
  }
  const wanted = [...Fields.tags(fields.capabilities, "capabilities", limits)]
  const one = Fields.optionalText(fields.capability, "capability", 256)
  if (one !== undefined) wanted.push(one)
  const limit = Fields.optionalCount(fields.limit, "limit", 1, limits.maxPageSize) ?? limits.maxPageSize
  return { pattern, wanted, limit, after: Fields.cursor(fields.cursor) }
}

export const listActors = (request: Request): Answer => {
  const { hub, session, now } = request
  const { limit, offset } = readListing(request)
  const total = hub.registry.count()
  const actors = hub.registry
    .slice(offset, limit, now)
    .filter(({ address }) => mayDiscover(session.claims, address))
    .map((registration) => hub.registry.entry(registration, now))
  const payload: ActorList = { actors, total, offset, limit, hasMore: offset + limit < total }
  return { payload }
}

/** Which part of the list is wanted. */
export const readListing = ({ hub, session, envelope }: Request) => {
  if (!mayList(session.claims)) throw new Refusal("forbidden", 'listing needs the right "list"')
  const fields = Fields.fieldsOf(envelope.payload)
  const { maxPageSize } = hub.host.limits
  const limit = Fields.optionalCount(fields.limit, "limit", 1, maxPageSize) ?? maxPageSize
  const offset = Fields.optionalCount(fields.offset, "offset", 0, Number.MAX_SAFE_INTEGER) ?? 0
  return { limit, offset }
}
