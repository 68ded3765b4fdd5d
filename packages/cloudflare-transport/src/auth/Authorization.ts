/**
 * Who may do what: pure functions over the claims of a session, and the only ones that decide. Claims
 * are `null` in open mode, where everybody may do everything. None of them knows whether what is asked
 * for exists: so a refusal can't tell.
 */
import { Address, type AddressPattern } from "@signal-hub/actor-core"
import type { Claims } from "./Claims.ts"

type Bearer = Claims | null

/** Whether it may enter the hub of this name. */
export const mayEnter = (claims: Bearer, hub: string): boolean => claims === null || claims.hubs.includes(hub)

/** Its identity, what lies below that, and what its patterns say. */
export const mayRegister = (claims: Bearer, address: Address.Address): boolean =>
  claims === null ||
  Address.isWithin(address, claims.identity) ||
  claims.actors.some((pattern) => pattern.matches(address))

/** Whether it may send to the address, ask it, or give it an ask that it holds. */
export const maySend = (claims: Bearer, address: Address.Address): boolean =>
  claims === null || claims.send === null || claims.send.some((pattern) => pattern.matches(address))

/** What may not be sent to is not seen. */
export const mayDiscover = maySend
export const mayWatch = maySend

/** Discovery by a pattern that names nothing is a list of all. */
export const mayDiscoverBy = (claims: Bearer, { source }: AddressPattern.AddressPattern): boolean =>
  /[^@(*/)]/.test(source) || mayList(claims)

export const maySubscribe = (claims: Bearer, topic: string): boolean =>
  claims === null || claims.subscribe === null || claims.subscribe.some((pattern) => pattern.matches(topic))

/** Who may not read a topic does not see who does. */
export const maySeePresence = maySubscribe

export const mayPublish = (claims: Bearer, topic: string): boolean =>
  claims === null || claims.publish === null || claims.publish.some((pattern) => pattern.matches(topic))

export const mayBroadcast = (claims: Bearer): boolean =>
  claims === null || claims.capabilities.has("broadcast")

export const mayList = (claims: Bearer): boolean => claims === null || claims.capabilities.has("list")

export const mayReadMetrics = (claims: Bearer): boolean =>
  claims === null || claims.capabilities.has("metrics")
