/**
 * Messages of protocol 0.x whose `to` is no address. Its clients count on being told that nobody is registered
 * there, as at an address of which that is true; from 1.0 such a message is malformed.
 */
import { Address, Envelope } from "@signal-hub/actor-core/vocabulary"
import type { Session } from "../session/Session.ts"
import type { Incoming } from "./Incoming.ts"
import { unknownActor } from "./Router.ts"

/** The text that a message of a session is for, where it is no address; `undefined` where it is, and from 1.0. */
export const misaddressOf = (
  session: Session,
  { payload, to, type }: Envelope.Envelope,
): string | undefined => {
  if (session.major !== 0) return undefined
  const named = type === "hub:send" && Envelope.isPlainObject(payload) ? (payload.to ?? to) : to
  return typeof named !== "string" || Address.isAddress(named) ? undefined : named
}

/** Answers an ask `hub:unknown_actor`; a tell is a dead letter. */
export const rejectMisaddressed = (incoming: Incoming, misaddress: string): void => {
  const { hub, from, envelope, now } = incoming
  const named = shown(misaddress)
  if (envelope.pattern === "ask") unknownActor(incoming, named)
  else hub.deadLetter({ ...envelope, from, to: named }, "unknown_actor", now)
}

/** What is repeated and remembered of it: no more than of an address, and never something that is one. */
const shown = (misaddress: string): Address.Address => {
  const isLong = misaddress.length > Address.MAX_ADDRESS_BYTES
  const text = isLong ? `${misaddress.slice(0, Address.MAX_ADDRESS_BYTES)}…` : misaddress
  return text.toWellFormed() as Address.Address
}
