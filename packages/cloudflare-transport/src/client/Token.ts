/** Where tokens come from, and how they travel: never in the URL. */
import { SUBPROTOCOL_BEARER_PREFIX } from "../protocol/Frame.ts"
import type { TokenProvider } from "./Options.ts"
import type { Timers } from "./Timers.ts"

/** Milliseconds that a token provider may take. */
const TOKEN_TIMEOUT = 10_000

/** Fetches a token; `refused`: not the one that is known already. */
export type FetchToken = (refused: boolean) => Promise<string | undefined>

/** Asks the provider, once at a time: who needs a token meanwhile gets the same one. */
export const makeFetchToken = (provider: TokenProvider, timers: Timers): FetchToken => {
  const ask = async (refused: boolean): Promise<string | undefined> => {
    let settled = (): void => {}
    const late = new Promise<never>((_, reject) => {
      const error = new Error(`the token provider took longer than ${TOKEN_TIMEOUT} ms`)
      settled = timers.after(TOKEN_TIMEOUT, () => reject(error))
    })
    const asked = async (): Promise<string | undefined> => {
      const token: unknown = await provider({ refused })
      if (token === undefined || token === null || typeof token === "string") return token ?? undefined
      throw new TypeError(`the token provider gave a ${typeof token}: it must give a string, or undefined`)
    }
    return Promise.race([asked(), late]).finally(settled)
  }
  let pending: Promise<string | undefined> | undefined
  return (refused) => {
    pending ??= ask(refused).finally(() => {
      pending = undefined
    })
    return pending
  }
}

/** How a token is presented: as a subprotocol, or, where its characters forbid it, in `hub:connect`. */
export const presentToken = (
  token: string | undefined,
): { readonly protocols: ReadonlyArray<string>; readonly authToken?: string } => {
  if (token === undefined || token === "") return { protocols: [] }
  return /^[\w!#$%&'*+.^`|~-]+$/.test(token)
    ? { protocols: [SUBPROTOCOL_BEARER_PREFIX + token] }
    : { protocols: [], authToken: token }
}
