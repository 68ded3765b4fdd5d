/** Requests about registrations: register, renew, unregister, discover, list. */
import { type Address, AddressPattern } from "@signal-hub/actor-core"
import { mayDiscover, mayDiscoverBy, mayList, mayRegister } from "../../auth/Authorization.ts"
import type { Metadata } from "../../protocol/FieldRules.ts"
import type { ActorEntry, ActorList, Discovered, Registered } from "../../protocol/HubMessage.ts"
import { claimIdentity, moveAway, rejectForeign } from "../session/IdentityClaim.ts"
import { endAddress } from "../session/Lifecycle.ts"
import { readPayload } from "../readRequest.ts"
import { Rejection } from "../Rejection.ts"
import { chargeRows, cursorAfter, fitting, readCursor, ROWS_A_PAGE } from "./Pages.ts"
import { literalPrefix, type Registration } from "./Registry.ts"
import type { Incoming } from "../Incoming.ts"
import type { Answer } from "../Requests.ts"
import { inSlices } from "../TimeSlicing.ts"

const newRenewalToken = (address: Address.Address): string => `${btoa(address)}.${crypto.randomUUID()}`

export const register = (request: Incoming): Answer => putRegistration(request, readRegistration(request))

/** What is to be registered, where it may be. */
export interface RegistrationWanted {
  readonly address: Address.Address
  readonly capabilities: ReadonlyArray<string>
  readonly metadata: Metadata
  readonly ttlSeconds: number
}

export const readRegistration = (request: Incoming): RegistrationWanted => {
  const { hub, session } = request
  const { actorAddress: address, ...wanted } = readPayload("hub:register", request)
  if (!mayRegister(session.claims, address)) {
    throw new Rejection("forbidden", `the token does not allow to register ${address}`)
  }
  rejectForeign(hub, address)
  rejectForeignIdentity(hub, session, address)
  rejectBeyondLimits(hub, session, hub.registry.get(address))
  return { address, ...wanted }
}

/** Registers. `least`: what its version must be at least, as others know of earlier ones. */
export const putRegistration = (
  { hub, session, now }: Incoming,
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
    hub.lifecycle.emit({ type: "registered", registration: written, session, now })
    return written
  })
  hub.logSession("actor_registered", session, { actorAddress: address, version: registration.version })
  return registered(hub.registry.expiresAt(registration, session, now), registration)
}

/** An identity can't be registered by another session, unless that claims it as its own. */
const rejectForeignIdentity = (
  hub: Incoming["hub"],
  session: Incoming["session"],
  address: Address.Address,
): void => {
  const holder = session.identity === null ? undefined : hub.sessions.byIdentity(address)
  if (holder !== undefined && holder !== session) {
    throw new Rejection("address_in_use", `${address} is the identity of another session`)
  }
}

const rejectBeyondLimits = (
  { port, registry }: Incoming["hub"],
  session: Incoming["session"],
  before: Registration | undefined,
): void => {
  const { maxAddressesPerSession, maxRegistrations } = port.limits
  if (before?.sessionId !== session.id && registry.countOf(session) >= maxAddressesPerSession) {
    throw new Rejection("registry_full", `the session holds ${maxAddressesPerSession} addresses, its most`)
  }
  if (before === undefined && registry.count() >= maxRegistrations) {
    throw new Rejection("registry_full", `the hub has ${maxRegistrations} registrations, its most`)
  }
}

const registered = (expiresAt: number, { address, renewalToken, version }: Registration): Answer => {
  const payload: Registered = { actorAddress: address, expiresAt, renewalToken, version }
  return { payload, metadata: { expiresAt, renewalToken, version } }
}

export const renew = (request: Incoming): Answer => {
  const { hub, session, now } = request
  const { renewalToken, ttlSeconds } = readPayload("hub:renew", request)
  const registration = hub.registry.heldUnder(renewalToken)
  if (registration === undefined || registration.sessionId !== session.id) {
    throw new Rejection(
      "forbidden",
      '"renewalToken" is not the current token of a registration of this session',
    )
  }
  hub.registry.renew(
    registration,
    newRenewalToken(registration.address),
    ttlSeconds ?? registration.ttlSeconds,
  )
  hub.lifecycle.emit({ type: "registered", registration, session, now })
  const { payload } = registered(hub.registry.expiresAt(registration, session, now), registration)
  return { payload }
}

export const unregister = (request: Incoming): Answer => {
  const { hub, session, from, now } = request
  const { actorAddress: address = from } = readPayload("hub:unregister", request)
  const registration = hub.registry.get(address)
  if (registration?.sessionId !== session.id) {
    throw new Rejection("forbidden", '"actorAddress" is not registered by this session')
  }
  endAddress(hub, registration, "unregistered", now)
  return { payload: { actorAddress: address } }
}

export const discover = (request: Incoming): Answer => {
  const { hub, session, now } = request
  const { pattern, wanted, limit, after } = readDiscovery(request)
  const { found, next, looked } = hub.registry.page({
    prefix: pattern.matchesAll ? "" : literalPrefix(pattern),
    after,
    limit,
    scan: ROWS_A_PAGE,
    now,
    isMeant: ({ address }) => pattern.matches(address) && mayDiscover(session.claims, address),
    wanted,
  })
  const entries = found.map(({ address }) => hub.registry.entry(hub.registry.get(address)!, now))
  return discovered(request, entries, next, looked)
}

/** A page of these, of which it may have no room for all; `next`: the address to go on after. */
export const discovered = (
  { connection, hub, session }: Incoming,
  entries: ReadonlyArray<ActorEntry>,
  next: string | undefined,
  looked: number,
): Answer => {
  chargeRows(connection, looked)
  const actors = fitting(entries, hub.port.limits)
  const after = actors.length < entries.length ? actors.at(-1)!.address : next
  const payload: Discovered =
    after === undefined
      ? { actors, hasMore: false }
      : { actors, hasMore: true, cursor: cursorAfter(connection, session.claims, after) }
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
export const readDiscovery = (request: Incoming): Discovery => {
  const { connection, session } = request
  const pattern = AddressPattern.compile(readPayload("hub:discover", request, "pattern").pattern)
  if (!mayDiscoverBy(session.claims, pattern)) {
    throw new Rejection("forbidden", 'to discover all needs the right "list": name what is looked for')
  }
  const { capabilities, capability, limit, cursor } = readPayload(
    "hub:discover",
    request,
    "capabilities",
    "capability",
    "limit",
    "cursor",
  )
  const wanted = capability === undefined ? capabilities : [...capabilities, capability]
  return { pattern, wanted, limit, after: readCursor(connection, cursor) }
}

export const listActors = (request: Incoming): Answer | undefined => {
  const { connection, hub, session } = request
  const listing = readListing(request)
  const { limit, offset } = listing
  let { after, passed } = listing
  const listed: Array<Address.Address> = []
  return inSlices(request, (now) => {
    const { found, next, looked } = hub.registry.page({
      prefix: "",
      after,
      limit: offset - passed + limit - listed.length,
      scan: ROWS_A_PAGE,
      now,
      isMeant: ({ address }) => mayDiscover(session.claims, address),
      wanted: [],
    })
    chargeRows(connection, looked)
    const skipped = Math.min(offset - passed, found.length)
    passed += skipped
    listed.push(...found.slice(skipped).map(({ address }) => address))
    if (next !== undefined && listed.length < limit) {
      after = next
      return undefined
    }
    const entries = listed.flatMap((address) => {
      const registration = hub.registry.get(address)
      return registration === undefined ? [] : [hub.registry.entry(registration, now)]
    })
    return listAnswer(request, listing, entries, next !== undefined, hub.registry.count())
  })
}

/** A page of these, of which it may have no room for all. */
export const listAnswer = (
  { hub, session }: Incoming,
  { limit, offset }: Listing,
  entries: ReadonlyArray<ActorEntry>,
  isCut: boolean,
  total: number,
): Answer => {
  const actors = fitting(entries, hub.port.limits)
  const hasMore = isCut || actors.length < entries.length
  const last = actors.at(-1)
  session.listed = last && { offset: offset + actors.length, after: last.address }
  const payload: ActorList = { actors, total, offset, limit, hasMore }
  return { payload }
}

export interface Listing {
  /** The first that is wanted, of all that the token allows to see, in the order of addresses. */
  readonly offset: number
  readonly limit: number
  /** An address, and how many come up to it, where to begin to count. */
  readonly after: string
  readonly passed: number
}

/** Which part of the list is wanted. */
export const readListing = (request: Incoming): Listing => {
  const { session } = request
  if (!mayList(session.claims)) throw new Rejection("forbidden", 'listing needs the right "list"')
  const { limit, offset } = readPayload("hub:list_actors", request)
  // Nearly always it is the next page of the last.
  const { listed } = session
  return listed?.offset === offset
    ? { limit, offset, passed: offset, after: listed.after }
    : { limit, offset, passed: 0, after: "" }
}
