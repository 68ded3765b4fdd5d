/** A tab of the example: one worker, who reports to whoever opened it. */
import type { Address } from "@signal-hub/actor-core"
import { work } from "./worker.ts"

declare const report: (line: string) => Promise<void>
declare const document: { readonly body: { append: (text: string) => void } }

const { host, name, coordinator } = Object.fromEntries(new URL(import.meta.url).searchParams) as {
  readonly host: string
  readonly name: string
  readonly coordinator: Address.Address
}
await work(host, name, coordinator, (line) => {
  document.body.append(`${line}\n`)
  void report(line)
})
