/** What is stored can't be read by this code: nothing of it is read, written or deleted. */
import * as Data from "effect/Data"
import type { SchemaVersion } from "../protocol/SchemaVersion.ts"

/**
 * Milliseconds until an object whose storage is rejected looks again, where its alarm has come: as long as the
 * platform may defer an update of its code.
 */
export const RECHECK_MS = 300_000

/** How the message begins, by which a caller in another object knows the error: its class doesn't come along. */
const PREFIX = "storage_rejected:"

export class StorageRejected extends Data.TaggedError("StorageRejected")<{
  /** `newer`: only newer code can read it. `upgrade_failed`: this code could not upgrade it. */
  readonly reason: "newer" | "upgrade_failed"
  /** The version of what is stored. */
  readonly stored: number
  /** The oldest version of the code that can read it. */
  readonly readableFrom: number
  /** The version of this code. */
  readonly code: number
  readonly message: string
  readonly cause?: unknown
}> {
  static newer({ readableFrom, version }: SchemaVersion, { version: code }: SchemaVersion): StorageRejected {
    const message = `${PREFIX} it is of version ${version}, which code of version ${readableFrom} and newer can read; this is ${code}: deploy the newer code again`
    return new StorageRejected({ reason: "newer", stored: version, readableFrom, code, message })
  }

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

/** What the log says of it. */
export const rejectionFields = ({ cause, code, message, readableFrom, reason, stored }: StorageRejected) => ({
  reason,
  stored,
  readableFrom,
  code,
  message,
  ...(cause !== undefined && { error: String(cause) }),
})

/** Whether a call failed as the storage of the object that was called is rejected there. */
export const isStorageRejected = (error: unknown): boolean =>
  error instanceof StorageRejected || String((error as Partial<Error> | null)?.message).includes(PREFIX)
