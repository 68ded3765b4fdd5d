/** The version of something that is stored, and which code can read it. */

export interface SchemaVersion {
  readonly version: number
  /** The oldest version of the code that can read it, and write it. */
  readonly readableFrom: number
}

/** What is stored without a version. No code is older. */
export const FIRST_VERSION: SchemaVersion = { version: 1, readableFrom: 1 }

/** The version that the code with these steps writes: each leads from one to the next. */
export const versionOf = (steps: ReadonlyArray<{ readonly readableFrom: number }>): SchemaVersion => {
  const last = steps.at(-1)
  return last === undefined ? FIRST_VERSION : { version: steps.length + 1, readableFrom: last.readableFrom }
}
