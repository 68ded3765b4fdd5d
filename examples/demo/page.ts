/** The page of the demo: hosts one actor in the browser and reports to whoever opened it. */
import { host } from "./host.ts"

declare const report: (line: string) => Promise<void>
declare const document: { readonly body: { append: (text: string) => void } }

await host(new URL(import.meta.url).searchParams.get("hub")!, "@(browser/page)", (line) => {
  document.body.append(`${line}\n`)
  void report(line)
})
