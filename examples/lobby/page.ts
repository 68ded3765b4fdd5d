/** A tab of the lobby: one player, who reports to whoever opened it. */
import { indexedDbPersistence } from "@signal-hub/cloudflare-transport/client/indexeddb"
import { play } from "./player.ts"

declare const report: (line: string) => Promise<void>
declare const document: { readonly body: { append: (text: string) => void } }

const { hub, name } = Object.fromEntries(new URL(import.meta.url).searchParams) as {
  readonly hub: string
  readonly name: string
}
const say = (line: string): void => {
  document.body.append(`${line}\n`)
  void report(line)
}
// With a store a page that is reloaded goes on with its session; without one it says goodbye.
await play(hub, name, say, { persistence: indexedDbPersistence(`lobby ${name}`) })
