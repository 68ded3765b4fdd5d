/** A tab of the lobby: one player, who reports to whoever opened it. */
import { play } from "./player.ts"

declare const report: (line: string) => Promise<void>
declare const document: { readonly body: { append: (text: string) => void } }

const { hub, name } = Object.fromEntries(new URL(import.meta.url).searchParams) as {
  readonly hub: string
  readonly name: string
}
await play(hub, name, (line) => {
  document.body.append(`${line}\n`)
  void report(line)
})
