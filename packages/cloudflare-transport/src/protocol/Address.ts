/** The addresses and topics of the protocol. */
import { Address } from "@signal-hub/actor-core/vocabulary"

/** The hub's own address. Clients obey `hub:*` from no other. */
export const HUB_ADDRESS: Address.Address = Address.HUB_ADDRESS

/** Returns the address of a session without an identity. */
export const provisionalAddress = (sessionId: string): Address.Address => `@(session/${sessionId})`

/** Returns true if an address is reserved: nobody may claim it. */
export const isReserved: (address: string) => boolean = Address.isReserved

/** Returns true if the text is a topic: `[A-Za-z0-9/_.:-]{1,256}`. */
export const isTopic = (value: unknown): value is string =>
  typeof value === "string" && /^[A-Za-z0-9/_.:-]{1,256}$/.test(value)
