/** The page of the browser tests: our client, handed to the test by a global. */
import { connect } from "@signal-hub/cloudflare-transport/client"
import { indexedDbPersistence } from "@signal-hub/cloudflare-transport/client/indexeddb"
import { Greeter, greeter } from "../support/Greeter.ts"
import { Ticker, ticker } from "../support/Ticker.ts"

declare const dispatchEvent: (event: Event) => boolean
/** What of it the page uses: the types of browsers are not these of Node. */
declare const indexedDB: {
  readonly open: (
    name: string,
    version: number,
  ) => EventTarget & { readonly result: { readonly version: number; readonly close: () => void } }
}

const wake = (): void => {
  for (const event of ["online", "pageshow", "visibilitychange"]) dispatchEvent(new Event(event))
}

/** Gives the database another layout, as newer code would. Rejects where others keep it open. */
const upgradeDatabase = (name: string, version: number): Promise<number> =>
  new Promise((done, failed) => {
    const request = indexedDB.open(name, version)
    request.addEventListener("success", () => {
      request.result.close()
      done(request.result.version)
    })
    for (const event of ["error", "blocked"]) request.addEventListener(event, () => failed(new Error(event)))
  })

Object.assign(globalThis, {
  inPage: { connect, indexedDbPersistence, upgradeDatabase, Greeter, greeter, Ticker, ticker, wake },
})
