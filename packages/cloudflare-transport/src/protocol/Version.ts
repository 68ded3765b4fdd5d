/** Versions of the protocol: semver, of which the major decides whether two sides can talk. */

/** The version of the protocol that this code speaks. */
export const PROTOCOL_VERSION = "1.0.0"
/** The newest version of each major that the hub serves, the oldest first. */
export const SUPPORTED_VERSIONS: ReadonlyArray<string> = ["0.1.0", "1.0.0"]
/** Version of this implementation, as `/health` and `hub:connected` tell it. */
export const SERVER_VERSION = "0.1.0"

/** A major that the hub serves: 1 has sequence numbers, acknowledgements and resume, 0 has none of them. */
export type ProtocolMajor = 0 | 1

/** The supported versions of this major and later ones. */
export const supportedFrom = (major: number): ReadonlyArray<string> =>
  SUPPORTED_VERSIONS.filter((version) => Number.parseInt(version, 10) >= major)

/**
 * The major that the hub serves for this version text. `"malformed"` where the text is no version
 * (`1`, `1.0` and `1.0.0-rc.1` are), `"unsupported"` where the hub has no such major.
 */
export const negotiate = (version: unknown): ProtocolMajor | "malformed" | "unsupported" => {
  if (typeof version !== "string" || version.length > 64) return "malformed"
  const match = /^(\d{1,9})(?:\.\d{1,9}){0,2}(?:[-+][0-9A-Za-z.+-]*)?$/.exec(version)
  if (match === null) return "malformed"
  const major = Number(match[1])
  return major === 0 || major === 1 ? major : "unsupported"
}
