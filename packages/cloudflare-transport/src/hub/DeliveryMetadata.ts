/**
 * The marks that the hub puts into the metadata of what it delivers: that it is a publication, a
 * broadcast, a forwarded message, and who hands on and answers asks. A client can't put them there: receivers
 * trust them.
 */
import { Envelope, Forwarding } from "@signal-hub/actor-core/vocabulary"
import { malformed } from "./Rejection.ts"

/** The metadata without marks: the very same object where it has none, as is usual. */
export const unmarked = (given: Envelope.Metadata): Envelope.Metadata => {
  const metadata = Forwarding.unmarked(given)
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
