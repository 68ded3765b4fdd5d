/** Names that no other run uses, so that suites can share a server. */
import { randomBytes } from "node:crypto"

const run = randomBytes(5).toString("hex")
let count = 0

/** A word that was never used before. */
export const unique = (word: string): string => `${word}-${run}-${++count}`

/** An address that was never used before. */
export const address = (word: string): string => `@(test/${unique(word)})`

/** Topics that were named, and so perhaps used. */
export const topics: Array<string> = []

/** A topic that was never used before. */
export const topic = (word: string): string => {
  const name = `test/${unique(word)}`
  topics.push(name)
  return name
}
