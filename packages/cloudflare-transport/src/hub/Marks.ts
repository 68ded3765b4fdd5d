/**
 * The marks that the hub puts into the metadata of what it delivers: that it is a publication, a
 * broadcast, a forwarded message. A client can't put them there: receivers trust them.
 */
import { Envelope } from "@signal-hub/actor-core"
import { malformed } from "./Refusal.ts"

/** The metadata without marks: the very same object where it has none, as is usual. */
export const unmarked = (metadata: Envelope.Metadata): Envelope.Metadata => {
  if (
    metadata.via === undefined &&
    metadata.publication === undefined &&
    metadata.broadcast === undefined &&
    metadata.forwarded === undefined
  ) {
    return metadata
  }
  const { via: _v, publication: _p, broadcast: _b, forwarded: _f, ...rest } = metadata
  return rest
}

/**
 * The metadata of what the hub delivers for who sent this. Refused where it has no room for the marks: no
 * receiver would take the copy.
 */
export const marked = (metadata: Envelope.Metadata, marks: Envelope.Metadata): Envelope.Metadata => {
  const whole = { ...unmarked(metadata), ...marks }
  if (metadata === Envelope.NO_METADATA || Envelope.metadataFits(whole)) return whole
  throw malformed(
    `"metadata" is larger than ${Envelope.MAX_METADATA_BYTES} bytes with what the hub adds to it`,
  )
}
