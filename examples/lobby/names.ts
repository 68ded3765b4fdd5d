/** Whose address is whose: a player and its profile have the same last segment. */
import { Address } from "@signal-hub/actor-core"

/** `ada`, of `@(player/ada)`. */
export const nameOf = (address: Address.Address): string => Address.segments(address).at(-1)!

/** Where the profile of this player is. */
export const profileOf = (player: Address.Address): Address.Address => Address.make("profile", nameOf(player))
