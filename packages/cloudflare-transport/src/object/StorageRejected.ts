/** The error of an object whose storage this code can't read. Nothing of it is read, written or deleted. */
import * as Data from "effect/Data"
import type { SchemaVersion } from "../protocol/SchemaVersion.ts"

/**
 * Milliseconds until an object whose storage is rejected looks at it again, after its alarm has fired: as long as
 * the platform may defer an update of its code.
 */
export const RECHECK_MS = 300_000

/** The beginning of the message. A caller in another object knows the error by it, as the class is lost on the way. */
const PREFIX = "storage_rejected:"

/** Thrown by each use of a storage that this code can't read. */
export class StorageRejected extends Data.TaggedError("StorageRejected")<{
  /** `newer`: only newer code can read the storage. `upgrade_failed`: this code could not upgrade it. */
  readonly reason: "newer" | "upgrade_failed"
  /** The stored version. */
  readonly stored: number
  /** The oldest version of the code that can read it. */
  readonly readableFrom: number
  /** The version of this code. */
  readonly code: number
  readonly message: string
  readonly cause?: unknown
}> {
  /** Only newer code can read it. */
  static newer({ readableFrom, version }: SchemaVersion, { version: code }: SchemaVersion): StorageRejected {
    const message = `${PREFIX} it is of version ${version}, which code of version ${readableFrom} and newer can read; this is ${code}: deploy the newer code again`
    return new StorageRejected({ reason: "newer", stored: version, readableFrom, code, message })
  }

  /** A step of the upgrade failed, for this cause. */
  static failed(
    { readableFrom, version }: SchemaVersion,
    { version: code }: SchemaVersion,
    cause: unknown,
  ): StorageRejected {
    const message = `${PREFIX} it is of version ${version}, and its upgrade to ${code} failed; it stays as it was`
    return new StorageRejected({
      reason: "upgrade_failed",
      stored: version,
      readableFrom,
      code,
      message,
      cause,
    })
  }
}

/** Returns the fields of the log line `storage_rejected`. */
export const rejectionFields = ({ cause, code, message, readableFrom, reason, stored }: StorageRejected) => ({
  reason,
  stored,
  readableFrom,
  code,
  message,
  ...(cause !== undefined && { error: String(cause) }),
})

/** Returns true if a call failed because the called object rejects its storage. */
export const isStorageRejected = (error: unknown): boolean =>
  error instanceof StorageRejected || String((error as Partial<Error> | null)?.message).includes(PREFIX)
