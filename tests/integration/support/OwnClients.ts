/** Our own client in tests: closed after each, and waited for by its states. */
import type { Address } from "@signal-hub/actor-core"
import {
  connect,
  type ConnectionState,
  type ConnectOptions,
  type Hub,
} from "@signal-hub/cloudflare-transport/client"
import { afterEach } from "vitest"
import { address } from "./names.ts"

/** A new address, as our client types it. */
export const newAddress = (word: string): Address.Address => address(word) as Address.Address

/** Gives a `connect` whose clients end with the test. */
export const useClients = (): typeof connect => {
  const hubs: Array<Hub> = []
  afterEach(async () => {
    await Promise.all(hubs.splice(0).map((hub) => hub.close()))
  })
  return async (url: string | URL, options?: ConnectOptions) => {
    const hub = await connect(url, options)
    hubs.push(hub)
    return hub
  }
}

/** Resolves with the first state of this status from now on, the present one included. */
export const reaches = <S extends ConnectionState["status"]>(
  hub: Hub,
  status: S,
): Promise<Extract<ConnectionState, { readonly status: S }>> =>
  new Promise((resolve) => {
    const check = (state: ConnectionState): void => {
      if (state.status !== status) return
      stop()
      resolve(state as Extract<ConnectionState, { readonly status: S }>)
    }
    const stop = hub.onState(check)
    check(hub.state)
  })
