/** Ids of envelopes: short, random once for each process, then counted. */
let prefix: string | undefined
let count = 0

/** An id that no other envelope has. */
export const messageId = (): string => {
  // Workers give no randomness while a module is loaded, only when an event is handled.
  prefix ??= crypto.randomUUID().slice(0, 8)
  return `${prefix}-${(count++).toString(36)}`
}
