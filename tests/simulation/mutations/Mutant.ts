/** A deliberate fault in the code that keeps the promises. */
import type { Change } from "../bundle.ts"

export interface Mutant extends Change {
  /** What it is like with the fault, in words. */
  readonly breaks: string
}

const source = (folder: string) => (name: string) => `cloudflare-transport/src/${folder}/${name}.ts`

export const client = source("client")
export const hub = source("hub")
export const session = source("session")
