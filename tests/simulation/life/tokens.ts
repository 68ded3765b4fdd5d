/** Tokens that cost no cryptography, which would not be the simulation's: what they say, in base 64. */
interface Payload {
  readonly actorId: string
  readonly exp?: number
  readonly capabilities?: ReadonlyArray<string>
  readonly actors?: ReadonlyArray<string>
}

/** `life`: seconds that it is good for. */
export const makeToken = (identity: string, life: number): string =>
  Buffer.from(
    JSON.stringify({
      actorId: identity,
      exp: Math.floor(Date.now() / 1_000) + life,
      actors: ["*"],
      capabilities: ["broadcast", "list", "metrics"],
    }),
  ).toString("base64url")

export const readToken = (token: string): Payload | undefined => {
  try {
    return JSON.parse(Buffer.from(token, "base64url").toString()) as Payload
  } catch {
    return undefined
  }
}
