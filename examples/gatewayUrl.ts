/** Where the gateway of an identity is. With tokens the URL has no query: the token names the identity. */
import type { Address } from "@signal-hub/actor-core"

export const gatewayUrl = (host: string, identity: Address.Address): string =>
  `ws://${host}/gateway?identity=${encodeURIComponent(identity)}`
